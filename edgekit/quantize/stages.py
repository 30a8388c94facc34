"""What each stage of the quantizer buys: the network quantized without it, beside the whole.

A row says how near the logits come to fp32's on images that did not calibrate, first with every stage, then
with each stage left out by itself, and in the end without any. The stages lean on one another, so the
rows do not add up.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx_ir as ir

from edgekit.errors import InputError
from edgekit.graph.run import GraphRunner
from edgekit.parity import agreement, sqnr_db
from edgekit.quantize.arithmetic import ActivationParams, FloatArray
from edgekit.quantize.conditioning import condition
from edgekit.quantize.observation import observe
from edgekit.quantize.options import STAGES, QuantizeOptions
from edgekit.quantize.plan import make_plan
from edgekit.quantize.quantizer import QuantizationResult, quantize
from edgekit.quantize.separate_scales import separate_scales

__all__ = ["StageRow", "explain_stages", "quantize_in_stages"]

Progress = Callable[[str, int, int], None]

_DEFAULTS = QuantizeOptions()


@dataclass(frozen=True)
class StageRow:
    """One quantization: ``skipped`` stages, SQNR in dB, agreement in percent, and seconds of it all.

    ``name`` is the stage that was left out, or ``all stages`` or ``no stage`` for what was done.
    """

    name: str
    skipped: tuple[str, ...]
    sqnr_db: float
    agreement: float
    seconds: float


def quantize_in_stages(
    model: ir.Model,
    images: Sequence[FloatArray],
    options: QuantizeOptions,
    skip: Collection[str] = (),
    *,
    input_params: ActivationParams | None = None,
) -> QuantizationResult:
    """Condition, observe and quantize a canonical fp32 graph on float32 ``images`` ``[1, C, H, W]``."""
    model = separate_scales(model)
    conditioned = condition(model, make_plan(model), images, skip=skip)
    observation = observe(conditioned.model, images, staggers=conditioned.staggers)
    return quantize(conditioned.model, observation, options.without(skip), input_params=input_params)


def explain_stages(
    model: ir.Model,
    images: Sequence[FloatArray],
    held_back: Sequence[FloatArray],
    options: QuantizeOptions = _DEFAULTS,
    *,
    input_params: ActivationParams | None = None,
    progress: Progress | None = None,
) -> tuple[StageRow, ...]:
    """Quantize on ``images`` with and without each stage, and score on ``held_back``, both ``[1, C, H, W]``.

    Raises :class:`~edgekit.errors.InputError` when there are no images to score on.
    """
    if not held_back:
        raise InputError(
            "no image is left to measure the stages on", hint="give more images, or fewer --samples"
        )
    score = partial(_score, _answers(model, held_back), held_back)
    rows: list[StageRow] = []
    runs = list(_runs())
    for done, (name, skip) in enumerate(runs, 1):
        start = time.perf_counter()
        result = quantize_in_stages(model, images, options, skip, input_params=input_params)
        seconds = time.perf_counter() - start
        rows.append(StageRow(name, skip, *score(result.model), seconds))
        if progress is not None:
            progress("stages", done, len(runs))
    return tuple(rows)


def _runs() -> Iterator[tuple[str, tuple[str, ...]]]:
    yield "all stages", ()
    for stage in STAGES:
        yield stage, (stage,)
    yield "no stage", tuple(STAGES)


def _answers(model: ir.Model, images: Sequence[FloatArray]) -> FloatArray:
    runner = GraphRunner(model, num_threads=None)
    answers = [next(iter(runner.run(image).values())).reshape(1, -1) for image in images]
    return np.concatenate(answers)


def _score(reference: FloatArray, images: Sequence[FloatArray], model: ir.Model) -> tuple[float, float]:
    answers = _answers(model, images)
    return sqnr_db(reference, answers), agreement(reference, answers)
