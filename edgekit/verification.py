"""What an export checks before it calls itself done: every file, by its own runtime, on held-back images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit.emit import Emitted
from edgekit.errors import CheckError
from edgekit.evaluation import artifact_answers
from edgekit.graph.qdq import dequantized_from
from edgekit.graph.values import shape_of
from edgekit.options import Precision
from edgekit.parity import parity
from edgekit.results import Parity

__all__ = ["check_same_answers", "output_steps", "verify_artifact"]

FloatArray = npt.NDArray[np.float32]

_LARGEST_ERROR: dict[Precision, float] = {"fp32": 1e-4}
"""Precision → the largest error of a logit, relative to the largest logit, that is arithmetic noise."""

_TIE_STEPS = 2.01  # two, and what float32 rounds
_TIE_NOISE = 4.0  # times the error of the better file: what runtimes that round differently may part by
_LEVELS = 255  # steps of int8, by which a float output behind int8 layers is judged too
_SAME_ANSWERS = 99.0  # percent of images on which two int8 files of one graph name the same class


def verify_artifact(
    emitted: Emitted, reference: FloatArray, batches: Sequence[tuple[FloatArray, ...]]
) -> tuple[Parity, FloatArray]:
    """Run a file and hold its answers against the fp32 graph's ``[images, numbers]``.

    ``batches`` has an array for each input, ``reference`` the numbers of all outputs, flat.
    Raises CheckError when the logits are not finite or an fp32 file differs by more than rounding.
    """
    logits = artifact_answers(emitted.path, emitted.inputs, emitted.outputs, batches)
    if not np.isfinite(logits).all():
        raise CheckError(
            f"{emitted.path.name} answers with numbers that are not finite",
            hint="fp16 holds numbers up to 65504: export with fp32 or int8"
            if emitted.precision == "fp16"
            else "",
        )
    measured = parity(reference, logits)
    has_indices = any(spec.dtype == "int64" for spec in emitted.outputs)
    limit = None if has_indices else _LARGEST_ERROR.get(emitted.precision)
    if limit is not None and measured.max_relative_error > limit:
        raise CheckError(
            f"{emitted.path.name} differs from the network by {measured.max_relative_error:.1e} of the "
            f"largest logit, expected at most {limit:.0e}",
            hint="this is a defect of edgekit: please report the model",
        )
    return measured, logits


def check_same_answers(
    files: Sequence[tuple[Emitted, FloatArray]], reference: FloatArray, steps: FloatArray
) -> None:
    """Raise CheckError unless all int8 files of one graph name the same class on 99 % of the images.

    ``reference`` are the fp32 graph's answers ``[images, numbers]``, ``steps`` :func:`output_steps`. Runtimes
    round differently, so classes are a tie whose logits lie within two steps and four times the error of the
    better of two files: a file that was made wrongly is further from the other than that one is from fp32.
    """
    integer = [
        (emitted, logits, _noise(logits, reference, steps))
        for emitted, logits in files
        if emitted.precision == "int8"
    ]
    for (one, logits, noise), (other, other_logits, other_noise) in combinations(integer, 2):
        better = np.minimum(noise, other_noise)[:, None]
        ties = (_TIE_STEPS + _TIE_NOISE * better).astype(np.float32) * steps
        same = _same_answers(logits, other_logits, ties)
        if same < _SAME_ANSWERS:
            raise CheckError(
                f"{one.path.name} and {other.path.name} name the same class on {same:.1f} % of the images, "
                f"expected {_SAME_ANSWERS:g} %",
                hint="this is a defect of edgekit: please report the model",
            )


def output_steps(quantized: ir.Model, logits: FloatArray) -> FloatArray:
    """By how much each number of all outputs, flat, differs from its neighbours: its output's scale.

    ``logits`` are a file's ``[images, numbers]``, for the range of outputs that are float.
    """
    steps = np.zeros(logits.shape[1], np.float32)
    start = 0
    for value in quantized.graph.outputs:
        end = start + math.prod(shape_of(value))
        params = dequantized_from(value)
        steps[start:end] = np.ptp(logits[:, start:end]) / _LEVELS if params is None else params.scale
        start = end
    return steps


def _noise(logits: FloatArray, reference: FloatArray, steps: FloatArray) -> FloatArray:
    """Usual error of each image's numbers, in steps: float32 ``[images]``."""
    counted = (logits - reference) / np.where(steps > 0, steps, np.float32(np.inf))
    noise: FloatArray = np.sqrt(np.square(counted).mean(axis=1))
    return noise


def _same_answers(logits: FloatArray, others: FloatArray, ties: FloatArray) -> float:
    """Percent of images on which the largest numbers are one, or within ``ties`` ``[images, numbers]``."""
    rows = np.arange(len(logits))
    best, other_best = logits.argmax(1), others.argmax(1)
    margin = np.minimum(
        logits[rows, best] - logits[rows, other_best], others[rows, other_best] - others[rows, best]
    )
    tie = np.maximum(ties[rows, best], ties[rows, other_best])
    return 100 * float((margin <= tie).mean())
