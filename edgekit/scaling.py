"""``edgekit scale`` as a function: from budgets on a target to the networks that make the most of them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit import model_file, target
from edgekit.errors import InputError
from edgekit.latency_model import LatencyModel
from edgekit.options import Precision
from edgekit.report.front import FrontPoint, draw
from edgekit.results import JSON
from edgekit.search.accuracy import Accuracy
from edgekit.search.budget import AXES, Budget, parse
from edgekit.search.candidate import Candidate, Evaluator, Setting, fits, use_of
from edgekit.search.front import pareto_front
from edgekit.search.latency import Latency, model_for, predict, prices_of
from edgekit.search.search import find
from edgekit.target import Target

__all__ = ["ScaleOptions", "ScaleResult", "candidate_json", "draw_front", "scale", "write_model"]


@dataclass(frozen=True)
class ScaleOptions:
    """What :func:`scale` searches; the fields are the flags of ``edgekit scale``.

    ``budgets`` join with *and* and are written as ``300MFLOPs``, ``20ms``, ``3.5Mparams``, ``5MB`` or
    ``512KB-ram``. ``families`` empty is all. ``target`` is a target's name or a format; latencies need one
    that somebody measured. ``precision`` and ``num_threads`` ``None`` are those the target prefers.
    """

    budgets: Sequence[str]
    families: Sequence[str] = ()
    target: str = "tflite"
    precision: Precision | None = None
    num_threads: int | None = None


@dataclass(frozen=True)
class ScaleResult:
    """Candidates that meet all budgets, best first.

    ``meeting`` is all that was looked at and meets the budgets; ``front`` those of it that nothing beats in
    both top-1 and the cost that the first budget limits, cheapest first. ``configurations`` were looked at
    in ``seconds``.
    """

    budgets: tuple[Budget, ...]
    candidates: tuple[Candidate, ...]
    meeting: tuple[Candidate, ...]
    front: tuple[Candidate, ...]
    target: Target
    precision: Precision
    latency_model: LatencyModel | None
    configurations: int
    seconds: float

    def best_of_families(self) -> dict[str, Candidate]:
        """The best candidate of each family, best first."""
        best: dict[str, Candidate] = {}
        for candidate in self.candidates:
            best.setdefault(candidate.family, candidate)
        return best

    def binds(self, candidate: Candidate) -> tuple[float, Budget]:
        """The budget that ``candidate`` uses most of, and how much as a share."""
        return use_of(candidate, self.budgets)

    def latency(self, candidate: Candidate) -> Latency | None:
        """Its predicted latency with the error, None without measurements to go by."""
        return predict(candidate.network, self.latency_model) if self.latency_model else None

    def accuracy(self, candidate: Candidate) -> Accuracy:
        """Its predicted top-1 with the error."""
        return candidate.accuracy()

    def to_json(self, top: int | None = None) -> dict[str, JSON]:
        return {
            "budgets": [{"text": one.text, "kind": one.kind, "limit": one.limit} for one in self.budgets],
            "candidates": [candidate_json(one) for one in self.candidates[:top]],
        }


def scale(options: ScaleOptions) -> ScaleResult:
    """Search all families for the most accurate networks that meet every budget.

    Deterministic, and without torch. Raises InputError for budgets that cannot be read or need a target,
    UnsupportedError for a latency that nobody measured, and CheckError when nothing meets the budgets.
    """
    started = time.perf_counter()
    budgets = tuple(map(parse, options.budgets))
    if not budgets:
        raise InputError(
            "no budget was given", hint="for example 300MFLOPs, 20ms, 3.5Mparams, 4MB or 512KB-ram"
        )
    chosen = _target(options.target)
    precision = chosen.precision(options.precision)
    needs_latency = any(budget.kind == "latency" for budget in budgets)
    model = _latency_model(chosen, precision, options, needs_latency)
    evaluator = Evaluator(Setting(chosen.format, precision, prices_of(model) if model else None))
    candidates = find(evaluator, budgets, options.families)
    meeting = [one for one in evaluator.seen.values() if fits(one, budgets)]
    return ScaleResult(
        budgets,
        tuple(candidates),
        tuple(meeting),
        tuple(pareto_front(meeting, budgets[0].kind)),
        chosen,
        precision,
        model,
        len(evaluator.seen),
        time.perf_counter() - started,
    )


def write_model(path: Path, candidate: Candidate) -> None:
    """Write ``candidate`` as a ``model.toml`` that every command takes. Raises OutputError."""
    model_file.write(path, candidate.model, candidate.scale)


def draw_front(path: Path, result: ScaleResult) -> None:
    """Draw everything that met the budgets, and the front, against the cost of the first budget.

    Raises InputError for a suffix other than .svg, .png or .html, MissingExtraError and OutputError.
    """
    budget = result.budgets[0]
    on_front = set(map(id, result.front))
    draw(
        path,
        [
            FrontPoint(
                one.model if one.family == "squeezenet" else one.family,
                f"width {one.scale.width:g}, depth {one.scale.depth:g}, resolution {one.scale.resolution}",
                one.amount(budget.kind),
                one.top1,
                id(one) in on_front,
            )
            for one in result.meeting
        ],
        cost_title=AXES[budget.kind],
        budget=budget.limit,
        title=f"Networks within {' and '.join(one.text for one in result.budgets)}",
    )


def candidate_json(candidate: Candidate) -> dict[str, JSON]:
    """One candidate as ``edgekit scale --json`` promises it. ``model`` is what its model.toml holds."""
    scaled = candidate.scale
    model: Mapping[str, JSON] = {"schema": 1, "model": candidate.model, **vars(scaled)}
    latency_ms = candidate.latency_ms
    return {
        "family": candidate.family,
        "width": scaled.width,
        "depth": scaled.depth,
        "resolution": scaled.resolution,
        "macs": candidate.macs,
        "params": candidate.params,
        "size_bytes": candidate.size_bytes,
        "peak_activation_bytes": candidate.peak_activation_bytes,
        "predicted_top1": round(candidate.top1, 2),
        "predicted_latency_ms": None if latency_ms is None else round(latency_ms, 4),
        "model": dict(model),
    }


def _target(name: str) -> Target:
    targets = target.resolve(name)
    if len(targets) > 1:
        raise InputError(
            f"target is {name!r}, expected one", hint="file sizes and latencies belong to one format"
        )
    return targets[0]


def _latency_model(
    chosen: Target, precision: Precision, options: ScaleOptions, needed: bool
) -> LatencyModel | None:
    if not needed:
        return chosen.latency_model(precision, options.num_threads)
    if chosen.kind == "format":
        raise InputError(
            "a latency budget needs a target",
            hint=f"--target {' or '.join(_measured_targets())}",
        )
    return model_for(chosen, precision, options.num_threads)


def _measured_targets() -> list[str]:
    return [one.name for one in target.all_targets() if one.latency]
