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
from edgekit.quantize.ranges import METHODS, RangeMethod, choose_params
from edgekit.quantize.rewrite import rewrite
from edgekit.quantize.sequential import quantize_constants

__all__ = ["Observation", "QuantizationReport", "QuantizationResult", "observe", "quantize"]

Progress = Callable[[str, int, int], None]

_TRIAL_IMAGES = 8  # that choose the range method
_CARRIED_BYTES = 160 << 20  # of the largest layer's float output over all images carried along
_CARRIED_IMAGES = (8, 64)
_DEFAULTS = QuantizeOptions()


@dataclass(frozen=True)
class QuantizationReport:
    """What was decided, and what it was decided by.

    ``ranges`` is the method of all activation ranges; ``trial_sqnr_db`` the logits' SQNR in dB of each
    method that was tried, on a few images; ``sqnr_db`` that of the result on the carried images, which
    the quantizer has seen: a sanity check, not a measure of quality.
    """

    ranges: RangeMethod
    trial_sqnr_db: Mapping[RangeMethod, float]
    sqnr_db: float
    images: int
    carried_images: int


@dataclass(frozen=True)
class QuantizationResult:
    """The quantized graph (see :mod:`edgekit.graph.qdq`) and how it came about."""

    model: ir.Model
    report: QuantizationReport


@dataclass(frozen=True)
class Observation:
    """What calibration saw of a graph: the distribution of every quantized value, and some images.

    ``carried`` are the images that go through the network again while it is quantized, float32 NCHW.
    """

    plan: Plan
    observers: Mapping[str, Observer]
    carried: FloatArray
    images: int


def observe(
    model: ir.Model, images: Iterable[FloatArray], *, progress: Progress | None = None, total: int = 0
) -> Observation:
    """Run a canonical fp32 graph on calibration images, float32 ``[1, C, H, W]`` each.

    Statistics stream: memory does not grow with the number of images. ``total`` is only for ``progress``.
    Raises :class:`~edgekit.errors.UnsupportedError` for an operator without an integer form and
    :class:`~edgekit.errors.InputError` for no images or activations that are not finite.
    """
    plan = make_plan(model)
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
            progress("calibrate", count, total)
    if not carried:
        raise InputError("no calibration image was given", hint="give a folder with at least one image")
    return Observation(plan, observers, np.concatenate(carried), count)


def quantize(
    model: ir.Model,
    observation: Observation,
    options: QuantizeOptions = _DEFAULTS,
    *,
    input_params: ActivationParams | None = None,
    progress: Progress | None = None,
) -> QuantizationResult:
    """Quantize a canonical fp32 graph to int8 by what :func:`observe` saw of it.

    ``input_params`` fixes the input's parameters, when they follow from its preprocessing.
    """
    plan, carried = observation.plan, observation.carried
    ranges, scores = _choose_ranges(model, observation, options, input_params)
    params = _params(plan, observation.observers, ranges, input_params)
    constants, logits = quantize_constants(model, plan, params, carried, options, progress)
    report = QuantizationReport(
        ranges=ranges,
        trial_sqnr_db=scores,
        sqnr_db=sqnr_db(_fp32_logits(model, carried), logits),
        images=observation.images,
        carried_images=len(carried),
    )
    return QuantizationResult(rewrite(model, plan, params, constants), report)


def _choose_ranges(
    model: ir.Model,
    observation: Observation,
    options: QuantizeOptions,
    input_params: ActivationParams | None,
) -> tuple[RangeMethod, dict[RangeMethod, float]]:
    """The method whose logits are nearest to fp32's, by a quick quantization of a few images each."""
    if options.ranges != "auto":
        return options.ranges, {}
    images = observation.carried[:_TRIAL_IMAGES]
    reference = _fp32_logits(model, images)
    quick = replace(options, rounding="nearest")
    scores: dict[RangeMethod, float] = {}
    for method in METHODS:
        params = _params(observation.plan, observation.observers, method, input_params)
        _, logits = quantize_constants(model, observation.plan, params, images, quick)
        scores[method] = sqnr_db(reference, logits)
    return max(scores, key=lambda method: scores[method]), scores


def _fp32_logits(model: ir.Model, images: FloatArray) -> FloatArray:
    return GraphRunner(model, num_threads=None).run(images)[model.graph.outputs[0].name or ""]


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
