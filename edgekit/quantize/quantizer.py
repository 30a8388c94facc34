"""The quantizer: choose ranges, quantize layer after layer, rewrite. One screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path

import onnx_ir as ir
from threadpoolctl import threadpool_limits

from edgekit.graph.run import GraphRunner
from edgekit.graph.subgraph import values_by_name
from edgekit.graph.values import shape_of
from edgekit.options import RangeMethod
from edgekit.parity import sqnr_db
from edgekit.quantize.arithmetic import ActivationParams, FloatArray, activation_params
from edgekit.quantize.curves import curves_of, fit_curve
from edgekit.quantize.exact_sums import with_exact_sums
from edgekit.quantize.observation import Observation
from edgekit.quantize.options import QuantizeOptions
from edgekit.quantize.ranges import METHODS, choose_params
from edgekit.quantize.reference import run_all, run_reference
from edgekit.quantize.rewrite import rewrite
from edgekit.quantize.sequential import quantize_constants
from edgekit.quantize.spare import staggered

__all__ = ["QuantizationReport", "QuantizationResult", "quantize"]

Progress = Callable[[str, int, int], None]

_TRIAL_IMAGES = 4  # that choose the range method
_ANSWER_ROOM = 1.1  # times the largest answer seen
_DEFAULTS = QuantizeOptions()


@dataclass(frozen=True)
class QuantizationReport:
    """What was decided, and what it was decided by.

    ``ranges`` is the method of all activation ranges; ``trial_sqnr_db`` the logits' SQNR in dB of each
    method that was tried, on a few images; ``sqnr_db`` that of the result on the carried images, which
    the quantizer has seen: a sanity check, not a measure of quality. ``learned_stretches`` is the number
    of stretches of layers that high effort improved.
    """

    ranges: RangeMethod
    trial_sqnr_db: Mapping[RangeMethod, float]
    sqnr_db: float
    images: int
    carried_images: int
    learned_stretches: int = 0


@dataclass(frozen=True)
class QuantizationResult:
    """The quantized graph (see :mod:`edgekit.graph.qdq`) and how it came about."""

    model: ir.Model
    report: QuantizationReport


def quantize(
    model: ir.Model,
    observation: Observation,
    options: QuantizeOptions = _DEFAULTS,
    *,
    input_params: ActivationParams | None = None,
    progress: Progress | None = None,
    folder: Path | None = None,
) -> QuantizationResult:
    """Quantize a canonical fp32 graph to int8.

    ``observation`` is what :func:`~edgekit.quantize.observation.observe` saw of the same graph.
    ``input_params`` fixes the input's parameters, when they follow from its preprocessing. In ``folder``
    high effort keeps how far it got, and goes on there when it is called again.
    """
    # One thread: the matrices are small, and results do not depend on the machine's cores.
    with threadpool_limits(1, user_api="blas"):
        return _quantize(model, observation, options, input_params, progress, folder)


def _quantize(
    model: ir.Model,
    observation: Observation,
    options: QuantizeOptions,
    input_params: ActivationParams | None,
    progress: Progress | None,
    folder: Path | None,
) -> QuantizationResult:
    plan, carried = observation.plan, observation.carried
    ranges, scores = _choose_ranges(model, observation, options, input_params)
    params = _params(model, observation, ranges, input_params)
    reference = run_reference(model, plan, carried)
    means = staggered(reference.means, plan, params, observation.staggers)
    constants, logits = quantize_constants(model, plan, params, carried, means, options, progress)
    learned = None
    if options.effort == "high":
        from edgekit.quantize.learning import learn

        images = carried if observation.kept is None else observation.kept
        learned = learn(
            model, plan, params, constants, images, chosen=options, progress=progress, folder=folder
        )
        params, constants = dict(learned.params), learned.constants
    result = rewrite(model, plan, params, constants)
    if learned is not None and learned.kept:
        logits = run_all(GraphRunner(result, num_threads=None), carried)
    report = QuantizationReport(
        ranges=ranges,
        trial_sqnr_db=scores,
        sqnr_db=_sqnr_db(reference.logits, logits),
        images=observation.images,
        carried_images=len(carried),
        learned_stretches=0 if learned is None else learned.kept,
    )
    return QuantizationResult(result, report)


def _choose_ranges(
    model: ir.Model,
    observation: Observation,
    options: QuantizeOptions,
    input_params: ActivationParams | None,
) -> tuple[RangeMethod, dict[RangeMethod, float]]:
    """The method whose logits are nearest to fp32's, by a quick quantization of a few images each."""
    if options.ranges != "auto":
        return options.ranges, {}
    plan, images = observation.plan, observation.carried[:_TRIAL_IMAGES]
    reference = run_reference(model, plan, images)
    quick = replace(options, rounding="nearest")
    scores: dict[RangeMethod, float] = {}
    for method in METHODS:
        params = _params(model, observation, method, input_params)
        means = staggered(reference.means, plan, params, observation.staggers)
        _, logits = quantize_constants(model, plan, params, images, means, quick)
        scores[method] = _sqnr_db(reference.logits, logits)
    return max(scores, key=lambda method: scores[method]), scores


def _sqnr_db(reference: FloatArray, logits: FloatArray) -> float:
    return sqnr_db(reference.reshape(len(reference), -1), logits.reshape(len(logits), -1))


def _params(
    model: ir.Model, observation: Observation, method: RangeMethod, input_params: ActivationParams | None
) -> dict[str, ActivationParams]:
    plan = observation.plan
    is_vector = len(shape_of(values_by_name(model)[plan.output])) == 2
    params: dict[str, ActivationParams] = {}
    for i, group in enumerate(plan.groups):
        shared = plan.fixed.get(i) or choose_params([observation.observers[name] for name in group], method)
        if is_vector and plan.output in group and i not in plan.fixed:
            shared = _with_room(shared, observation)
        if input_params is not None and plan.input in group:
            shared = _with_input(shared, input_params, is_alone=len(plan.sources(i)) == 1)
        params.update(dict.fromkeys(group, shared))
    for name, curve in curves_of(plan).items():
        params[name] = fit_curve(observation.observers[name], curve, params[name])
    return with_exact_sums(plan, params, set() if input_params is None else {plan.input})


def _with_room(chosen: ActivationParams, observation: Observation) -> ActivationParams:
    """A range that cuts off no answer, and none somewhat beyond those seen: the largest is what matters.

    Of photographs not seen, two to three in a hundred have logits beyond those of a hundred that calibrate.
    """
    plan = observation.plan
    seen = observation.observers[plan.output]
    least, most = next((layer.bounds for layer in plan.layers if layer.output == plan.output), (-inf, inf))
    low, high = max(_ANSWER_ROOM * seen.low, least), min(_ANSWER_ROOM * seen.high, most)
    return activation_params(min(chosen.low, low), max(chosen.high, high))


def _with_input(chosen: ActivationParams, given: ActivationParams, *, is_alone: bool) -> ActivationParams:
    """The input's own parameters, or, where other values must share them, a range that holds both."""
    if is_alone:
        return given
    return activation_params(min(chosen.low, given.low), max(chosen.high, given.high))
