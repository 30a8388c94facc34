"""The answer of a report: which file to ship where, why, what that gains and what it costs.

The rule, for the files of one place: of those whose top-1 is within a tolerance of the best, the fastest.
Measured accuracy counts alone where there is any; else what was published of the networks stands in, which
is said; and without either the fastest file is named with that reservation.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from edgekit.report.document import Answer
from edgekit.report.runs import Place, Run, Top1, by_place
from edgekit.report.wording import counted, joined, megabytes, milliseconds, percent, times

__all__ = ["Baselines", "answers", "baseline_of", "baselines", "place_title", "speedup"]

Baselines: TypeAlias = Mapping[tuple[object, ...], Sequence[Run]]
"""Made by :func:`baselines`, for :func:`baseline_of`."""

_LOCAL = "local"
_MOST_OTHERS = 3


def answers(runs: Sequence[Run], max_drop: float = 1.0) -> list[Answer]:
    """One answer for each place where latencies were measured. ``max_drop`` is the tolerance in points."""
    places = by_place(run for run in runs if run.latency)
    return [_answer(place, here, runs, max_drop) for place, here in places.items()]


def place_title(place: Place) -> str:
    """A place as a reader knows it: this machine by its own name, a device with the machine that drove it."""
    name = place.host if place.name == _LOCAL and place.host else place.name
    driven = f" by {place.host}" if place.host and name != place.host else ""
    return f"{name}{driven}{', emulated' if place.emulated else ''}"


def baselines(runs: Iterable[Run]) -> Baselines:
    """The timed fp32 runs among ``runs``, by what a run has to share with its baseline."""
    found: dict[tuple[object, ...], list[Run]] = defaultdict(list)
    for run in runs:
        if run.record.precision == "fp32" and run.latency:
            found[_shared(run)].append(run)
    return found


def baseline_of(run: Run, known: Baselines) -> Run | None:
    """The same network in fp32 in the same place on as many threads, if possible in its runtime."""
    if run.record.precision == "fp32":
        return None
    same = known.get(_shared(run), ())
    return min(
        same, key=lambda other: (other.record.runtime != run.record.runtime, other.median_ms), default=None
    )


def _shared(run: Run) -> tuple[object, ...]:
    return run.network, run.place, run.record.num_threads


def speedup(run: Run, baseline: Run) -> tuple[float, float, float]:
    """How many times faster than ``baseline``: by medians, and what their 95 % CIs allow."""
    assert run.latency is not None
    assert baseline.latency is not None
    new, old = run.latency.latency_ms, baseline.latency.latency_ms
    return old.median / new.median, old.ci95[0] / new.ci95[1], old.ci95[1] / new.ci95[0]


def _answer(place: Place, here: list[Run], runs: Sequence[Run], max_drop: float) -> Answer:
    rated = _rated(here)
    if not rated:
        return _fastest_only(place, here)
    best = max(top1.value for _, top1 in rated)
    good = [(run, top1) for run, top1 in rated if top1.value >= best - max_drop]
    chosen, top1 = min(good, key=lambda pair: (pair[0].median_ms, -pair[1].value))
    baseline = baseline_of(chosen, baselines(here))
    return Answer(
        place_title(place),
        f"Ship {chosen.label}",
        _reason(chosen, top1, len(good), len(rated), best, max_drop),
        gained=_gained(chosen, baseline),
        lost=_lost(chosen, top1, baseline),
        others=tuple(_others(chosen, top1, rated)),
        notes=_notes(chosen, place, is_measured=top1.is_measured),
    )


def _rated(here: Sequence[Run]) -> list[tuple[Run, Top1]]:
    """Runs with an accuracy that compares: all measured, or else all published."""
    rated = [(run, top1) for run in here if (top1 := run.top1) is not None]
    measured = [pair for pair in rated if pair[1].is_measured]
    return measured or rated


def _reason(run: Run, top1: Top1, good: int, rated: int, best: float, max_drop: float) -> str:
    files = counted(rated, "file")
    what = f"{percent(top1.value)} % top-1 published for the fp32 network"
    if top1.is_measured:
        files += " with a measured top-1"
        what = f"{percent(top1.value)} % top-1 measured"
    rule = (
        f"It is the only file with an accuracy to go by: {what}"
        if rated == 1
        else f"Of {files}, {good} {'is' if good == 1 else 'are'} within {max_drop:g} "
        f"{'point' if max_drop == 1 else 'points'} of the best top-1, {percent(best)} %; "
        f"this is the fastest of them, with {what}"
    )
    return f"{rule}. One inference takes {_measured(run)}."


def _measured(run: Run) -> str:
    assert run.latency is not None
    latency = run.latency.latency_ms
    return (
        f"{milliseconds(latency.median)} ms (95 % CI {milliseconds(latency.ci95[0])} to "
        f"{milliseconds(latency.ci95[1])}) in {run.record.runtime} {run.record.runtime_version} on "
        f"{counted(run.record.num_threads, 'thread')}, and the file has {megabytes(run.record.size_bytes)} MB"
    )


def _gained(run: Run, baseline: Run | None) -> str:
    if baseline is None:
        return ""
    ratio, low, high = speedup(run, baseline)
    faster = f"{times(ratio)} as fast" if ratio >= 1 else f"only {times(ratio)} as fast, which is slower,"
    smaller = baseline.record.size_bytes / run.record.size_bytes
    other = "" if baseline.record.runtime == run.record.runtime else f" ({baseline.record.runtime})"
    doubt = "" if low > 1 or high < 1 else ", a difference within noise"
    return (
        f"{faster} as its fp32 file{other} ({milliseconds(baseline.median_ms or 0)} to "
        f"{milliseconds(run.median_ms or 0)} ms{doubt}) and {times(smaller)} smaller "
        f"({megabytes(baseline.record.size_bytes)} to {megabytes(run.record.size_bytes)} MB)."
    )


def _lost(run: Run, top1: Top1, baseline: Run | None) -> str:
    if run.record.precision == "fp32":
        return "nothing: it is the fp32 file."
    if not top1.is_measured:
        return "not known: the accuracy of this file was not measured."
    reference = baseline.top1 if baseline else None
    if reference is None or not reference.is_measured or run.accuracy is None:
        return "not known: the accuracy of its fp32 file was not measured."
    drop = reference.value - top1.value
    images = counted(run.accuracy.images, "image")
    doubt = (
        ", within chance for so few" if abs(drop) and reference.low <= top1.value <= reference.high else ""
    )
    change = (
        f"{percent(abs(drop))} points of top-1 {'lost' if drop > 0 else 'won'}" if drop else "no top-1 lost"
    )
    return f"{change}: {percent(reference.value)} to {percent(top1.value)} % on {images}{doubt}."


def _others(chosen: Run, top1: Top1, rated: Sequence[tuple[Run, Top1]]) -> list[str]:
    """What else nothing beats in both accuracy and speed, nearest in speed first."""
    front: list[tuple[Run, Top1]] = []
    for run, other in sorted(rated, key=lambda pair: (pair[0].median_ms or 0.0, -pair[1].value)):
        if not front or other.value > front[-1][1].value:
            front.append((run, other))
    front = [pair for pair in front if pair[0] is not chosen]
    own = chosen.median_ms or 0.0
    front.sort(key=lambda pair: abs((pair[0].median_ms or 0.0) - own))
    return [_other(run, other.value - top1.value, own) for run, other in front[:_MOST_OTHERS]]


def _other(run: Run, points: float, own_ms: float) -> str:
    ms = run.median_ms or 0.0
    speed = f"{milliseconds(ms)} ms instead of {milliseconds(own_ms)}"
    accuracy = f"{percent(abs(points))} points {'more' if points > 0 else 'less'} top-1"
    return f"{run.label}: {speed}, {accuracy if points else 'the same top-1'}."


def _fastest_only(place: Place, here: Sequence[Run]) -> Answer:
    fastest = min(here, key=lambda run: run.median_ms or 0.0)
    networks = sorted({run.network for run in here})
    baseline = baseline_of(fastest, baselines(here))
    return Answer(
        place_title(place),
        f"{fastest.label} is the fastest",
        f"No accuracy was measured, and none is published for {joined(networks[:3])}"
        f"{' and others' if len(networks) > 3 else ''}, so speed alone decides. "
        f"One inference takes {_measured(fastest)}.",
        gained=_gained(fastest, baseline),
        lost="not known: measure the accuracy before shipping it.",
        notes=_notes(fastest, place, is_measured=True),
    )


def _notes(run: Run, place: Place, *, is_measured: bool) -> tuple[str, ...]:
    notes = []
    if place.emulated:
        notes.append("The processor was emulated: these milliseconds are no device's latency.")
    if run.is_random:
        notes.append(f"{run.label} has random weights: train it before anything else.")
    elif not is_measured:
        notes.append("Published accuracy stands in for a measurement; the file itself may differ.")
    if run.latency and run.latency.noisy:
        notes.append(f"{run.label} was measured on a noisy machine: {'; '.join(run.latency.noise)}.")
    return tuple(notes)
