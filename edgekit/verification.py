"""What an export checks before it calls itself done: every file, by its own runtime, on held-back images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgekit.emit import Emitted
from edgekit.errors import CheckError
from edgekit.evaluation import artifact_logits
from edgekit.options import Precision
from edgekit.parity import parity
from edgekit.results import Parity

__all__ = ["check_same_answers", "verify_artifact"]

FloatArray = npt.NDArray[np.float32]

_LARGEST_ERROR: dict[Precision, float] = {"fp32": 1e-4}
"""Precision → the largest error of a logit, relative to the largest logit, that is arithmetic noise."""

_SAME_ANSWERS = 99.0  # percent of images on which two int8 files of one graph name the same class


def verify_artifact(
    emitted: Emitted, reference: FloatArray, batches: Sequence[FloatArray]
) -> tuple[Parity, FloatArray]:
    """Run a file on ``batches`` and hold its logits against the fp32 graph's ``[images, classes]``.

    Raises CheckError when the logits are not finite or an fp32 file differs by more than rounding.
    """
    logits = artifact_logits(emitted.path, emitted.input, emitted.output, batches)
    if not np.isfinite(logits).all():
        raise CheckError(
            f"{emitted.path.name} answers with numbers that are not finite",
            hint="fp16 holds numbers up to 65504: export with fp32 or int8"
            if emitted.precision == "fp16"
            else "",
        )
    measured = parity(reference, logits)
    limit = _LARGEST_ERROR.get(emitted.precision)
    if limit is not None and measured.max_relative_error > limit:
        raise CheckError(
            f"{emitted.path.name} differs from the network by {measured.max_relative_error:.1e} of the "
            f"largest logit, expected at most {limit:.0e}",
            hint="this is a defect of edgekit: please report the model",
        )
    return measured, logits


def check_same_answers(files: Sequence[tuple[Emitted, FloatArray]]) -> None:
    """Raise CheckError unless all int8 files of one graph name the same class on 99 % of the images.

    Classes whose logits lie within two steps of the output's scale are a tie: the runtimes may round
    them differently.
    """
    integer = [(emitted, logits) for emitted, logits in files if emitted.precision == "int8"]
    for first in range(len(integer)):
        for second in range(first + 1, len(integer)):
            _check_pair(*integer[first], *integer[second])


def _check_pair(one: Emitted, logits: FloatArray, other: Emitted, other_logits: FloatArray) -> None:
    step = max(
        emitted.output.scale or _step(values) for emitted, values in ((one, logits), (other, other_logits))
    )
    rows = np.arange(len(logits))
    best, other_best = logits.argmax(1), other_logits.argmax(1)
    margin = np.minimum(
        logits[rows, best] - logits[rows, other_best],
        other_logits[rows, other_best] - other_logits[rows, best],
    )
    same = 100 * float((margin <= 2.01 * step).mean())
    if same < _SAME_ANSWERS:
        raise CheckError(
            f"{one.path.name} and {other.path.name} name the same class on {same:.1f} % of the images, "
            f"expected {_SAME_ANSWERS:g} %",
            hint="this is a defect of edgekit: please report the model",
        )


def _step(logits: FloatArray) -> float:
    """Output step of a file with float output: the smallest difference between its logits."""
    levels = np.unique(logits)
    return float(np.diff(levels).min()) if len(levels) > 1 else 0.0
