"""The quantizer: observe, choose ranges, quantize layer after layer, rewrite. One screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from edgekit.errors import InputError
from edgekit.graph.run import GraphRunner
from edgekit.graph.values import shape_of
from edgekit.parity import sqnr_db
from edgekit.quantize.arithmetic import ActivationParams, FloatArray
from edgekit.quantize.observers import Observer
from edgekit.quantize.options import QuantizeOptions
from edgekit.quantize.plan import Plan, make_plan
from edgekit.quantize.ranges import RangeMethod, choose_params
from edgekit.quantize.rewrite import rewrite
from edgekit.quantize.sequential import quantize_constants

__all__ = ["QuantizationReport", "QuantizationResult", "quantize"]

Progress = Callable[[str, int, int], None]

_CANDIDATES: tuple[RangeMethod, ...] = ("minmax", "mse", "percentile")
_CARRIED_BYTES = 160 << 20  # of the largest layer's float output over all images carried along
_CARRIED_IMAGES = (8, 64)


@dataclass(frozen=True)
class QuantizationReport:
    """What was decided: range method, the logits' SQNR in dB by method, images observed and carried."""

    ranges: RangeMethod
    sqnr_db: Mapping[RangeMethod, float]
    images: int
    carried_images: int


@dataclass(frozen=True)
class QuantizationResult:
    """The quantized graph (see :mod:`edgekit.graph.qdq`) and how it came about."""

    model: ir.Model
    report: QuantizationReport


def quantize(
    model: ir.Model,
    images: Iterable[FloatArray],
    options: QuantizeOptions | None = None,
    *,
    input_params: ActivationParams | None = None,
    progress: Progress | None = None,
) -> QuantizationResult:
    """Quantize a canonical fp32 graph to int8 with calibration images.

    ``images`` yields preprocessed float32 ``[1, C, H, W]`` arrays. ``input_params`` fixes the input's
    parameters, when they follow from its preprocessing. Raises :class:`~edgekit.errors.UnsupportedError`
    for an operator without an integer form and :class:`~edgekit.errors.InputError` for no images or
    activations that are not finite.
    """
    chosen = options or QuantizeOptions()
    plan = make_plan(model)
    observers, carried, count = _observe(model, plan, images, progress)
    methods = _CANDIDATES if chosen.ranges == "auto" else (chosen.ranges,)
    reference = GraphRunner(model, num_threads=None).run(carried)[model.graph.outputs[0].name or ""]
    scores: dict[RangeMethod, float] = {}
    results = {}
    for method in methods:
        params = _params(plan, observers, method, input_params)
        constants, logits = quantize_constants(
            model, plan, params, carried, replace(chosen, ranges=method), progress
        )
        scores[method] = sqnr_db(reference, logits)
        results[method] = (params, constants)
    best = max(methods, key=lambda method: scores[method])
    report = QuantizationReport(best, scores, count, len(carried))
    return QuantizationResult(rewrite(model, plan, *results[best]), report)


def _observe(
    model: ir.Model, plan: Plan, images: Iterable[FloatArray], progress: Progress | None
) -> tuple[dict[str, Observer], FloatArray, int]:
    """Statistics of every quantized value, the images that are carried along, and how many were seen."""
    observers = {name: Observer(name) for name in plan.values}
    runner = GraphRunner(model, plan.values, num_threads=None)
    limit = _carried_images(model, plan)
    carried: list[FloatArray] = []
    count = 0
    for count, image in enumerate(images, 1):
        for name, values in runner.run(image).items():
            observers[name].update(values)
        if len(carried) < limit:
            carried.append(image)
        if progress is not None:
            progress("calibrate", count, 0)
    if not carried:
        raise InputError("no calibration image was given", hint="give a folder with at least one image")
    return observers, np.concatenate(carried), count


def _carried_images(model: ir.Model, plan: Plan) -> int:
    names = set(plan.values)
    largest = max(int(np.prod(shape_of(v))) for node in model.graph for v in node.outputs if v.name in names)
    return int(np.clip(_CARRIED_BYTES // (4 * largest), *_CARRIED_IMAGES))


def _params(
    plan: Plan, observers: Mapping[str, Observer], method: RangeMethod, input_params: ActivationParams | None
) -> dict[str, ActivationParams]:
    params: dict[str, ActivationParams] = {}
    for i, group in enumerate(plan.groups):
        fixed = plan.fixed.get(i)
        if input_params is not None and plan.inputs[0] in group:
            fixed = input_params
        shared = fixed or choose_params([observers[name] for name in group], method)
        params.update(dict.fromkeys(group, shared))
    return params
