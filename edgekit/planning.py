"""Which layers stay in higher precision: those asked for by name, or the fewest that keep the accuracy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx_ir as ir

from edgekit.emit import Emitted
from edgekit.errors import CheckError
from edgekit.gates import DropGate
from edgekit.graph.count import count
from edgekit.measure.timing import time_file
from edgekit.options import INTEGER, ExportOptions
from edgekit.quantize import Observation, QuantizationResult
from edgekit.quantize.plan import LayerPrecision, Plan
from edgekit.quantize.plan_search import Found, order_layers, search
from edgekit.quantize.precision import match_layers, with_precisions
from edgekit.quantize.sensitivity import analyze
from edgekit.results import MixedPlan, PlanCost

__all__ = ["Exported", "apply_choices", "describe_plan", "reach_drop", "stays_float"]

Progress = Callable[[str, int, int], None]

_ANALYZED_IMAGES = 4


@dataclass(frozen=True)
class Exported:
    """A quantized graph with its files, and the fp32 graph that it was quantized from."""

    graph: ir.Model
    observation: Observation
    quantized: QuantizationResult
    emitted: tuple[Emitted, ...]


def stays_float(model: ir.Model, options: ExportOptions) -> tuple[str, ...]:
    """Names of the graph's nodes that ``keep_float`` matches: they need no integer form.

    Raises UnknownNameError, with the nearest names, for a pattern that matches none.
    """
    return match_layers([node.name or "" for node in model.graph], options.keep_float)


def apply_choices(plan: Plan, options: ExportOptions, *, is_wide: bool = False) -> Plan:
    """The plan with the layers of ``keep_float`` and ``keep_int16`` in that precision, int16 first.

    ``is_wide`` gives every layer int16 activations that has a kernel for them, and leaves the others float.
    Raises UnknownNameError, with the nearest names, for a pattern that matches no layer.
    """
    names = [layer.name for layer in plan.layers]
    wide = names if is_wide else match_layers(names, options.keep_int16)
    chosen: dict[str, LayerPrecision] = dict.fromkeys(wide, "int16")
    chosen.update(dict.fromkeys(match_layers(names, options.keep_float), "float"))
    return with_precisions(plan, chosen)


def reach_drop(
    plain: Exported,
    gate: DropGate,
    export: Callable[[Observation, Path], Exported],
    folder: Path,
    *,
    timed: bool = True,
    progress: Progress | None = None,
) -> tuple[Exported, MixedPlan | None]:
    """Keep the fewest layers float with which every int8 file loses at most the gate's points.

    ``plain`` is the export to start from: where it passes, it is the result. ``export`` quantizes an
    observation and writes files to a folder; it is called for every plan that is tried, and for the one
    chosen with ``folder``. ``timed`` measures on this machine what the plan costs in latency.
    Deterministic but for latencies. Raises CheckError, naming the best plan, when none passes.
    """
    start = max(gate.drops(_integer(plain.emitted), progress))
    if start <= gate.max_drop:
        return plain, None
    found = _search(plain, gate, export, start, progress)
    if not found.reached:
        raise CheckError(_failure(found, plain.observation.plan, gate.max_drop, start), hint=_FAILURE_HINT)
    before = [_weigh(one, timed) for one in _integer(plain.emitted)]
    chosen = export(_keeping(plain.observation, found.best.kept), folder)
    costs = tuple(
        PlanCost(one.format, *old, *_weigh(one, timed))
        for old, one in zip(before, _integer(chosen.emitted), strict=True)
    )
    described = describe_plan(chosen)
    if described is None:
        return chosen, None
    limits = replace(described, max_drop=gate.max_drop, plain_drop=start, drop=found.best.drop)
    return chosen, replace(limits, trials=len(found.trials), costs=costs)


def describe_plan(made: Exported) -> MixedPlan | None:
    """The layers that are not of the plan's own width, and their share of the network; None without any."""
    plan = made.observation.plan
    kept = {one.name: one.precision for one in plan.layers if one.precision != plan.ends}
    if not kept:
        return None
    macs = {row.name: row.macs for row in count(made.graph).layers}
    total = sum(macs.get(one.name, 0) for one in plan.layers)
    share = 100 * sum(macs.get(name, 0) for name in kept) / total if total else 0.0
    return MixedPlan(kept, len(plan.layers), share)


def _search(
    plain: Exported,
    gate: DropGate,
    export: Callable[[Observation, Path], Exported],
    start: float,
    progress: Progress | None,
) -> Found:
    observation = plain.observation
    images = observation.carried[:_ANALYZED_IMAGES]
    sensitivities = analyze(plain.graph, plain.quantized.model, observation.plan, images, progress)

    def measure(kept: tuple[str, ...]) -> float:
        with TemporaryDirectory() as trial:
            files = export(_keeping(observation, kept), Path(trial)).emitted
            return max(gate.drops(_integer(files), progress))

    return search(order_layers(observation.plan, sensitivities), measure, gate.max_drop, start)


_FAILURE_HINT = "calibrate on more images of your own, allow a larger drop, or export with --precision fp16"


def _integer(emitted: Sequence[Emitted]) -> list[Emitted]:
    return [one for one in emitted if one.precision in INTEGER]


def _keeping(observation: Observation, kept: Sequence[str]) -> Observation:
    return replace(observation, plan=with_precisions(observation.plan, dict.fromkeys(kept, "float")))


def _weigh(emitted: Emitted, timed: bool) -> tuple[int, float | None]:
    """Size in bytes, and the median latency on one thread in milliseconds."""
    return emitted.size_bytes, time_file(emitted.path).median_ms if timed else None


def _failure(found: Found, plan: Plan, max_drop: float, plain_drop: float) -> str:
    names = ", ".join(found.best.kept[:5]) + (" …" if len(found.best.kept) > 5 else "")
    kept = f"{len(found.best.kept)} of {len(plan.layers)} layers kept float ({names or 'none'})"
    return (
        f"no plan loses at most {max_drop:g} points of top-1: {plan.ends} alone loses {plain_drop:.2f}, "
        f"the best of {len(found.trials)} plans {found.best.drop:.2f}, with {kept}"
    )
