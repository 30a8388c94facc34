"""From runs to a report: its sections in the order in which a reader asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgekit.report.closing_sections import environment_section, measurements_section
from edgekit.report.document import Document, Section
from edgekit.report.network_sections import layers_section, operators_section
from edgekit.report.pareto import accuracy_figures
from edgekit.report.runs import LayerCost, Published, Run, by_place
from edgekit.report.timing_sections import (
    latency_section,
    memory_section,
    precision_section,
    sustained_section,
)
from edgekit.report.verdict import answers, place_title
from edgekit.report.wording import counted, joined

__all__ = ["Sources", "build", "summary"]

_MOST_PLACES = 6


@dataclass(frozen=True)
class Sources:
    """What a report draws besides the records: published networks, and layers by :attr:`Run.network`."""

    published: tuple[Published, ...] = ()
    layers: Mapping[str, tuple[LayerCost, ...]] = field(default_factory=dict)


def build(runs: Sequence[Run], sources: Sources, *, title: str = "", max_drop: float = 1.0) -> Document:
    """The whole report of ``runs``. ``max_drop`` are the points of top-1 that speed may cost."""
    sections = (
        Section("accuracy", "What accuracy costs", figures=accuracy_figures(runs, sources.published)),
        latency_section(runs),
        precision_section(runs),
        memory_section(runs),
        layers_section(runs, sources.layers),
        operators_section(runs),
        sustained_section(runs),
        measurements_section(runs),
        environment_section(runs),
    )
    return Document(
        title=title or "Which file to ship",
        summary=summary(runs),
        answers=tuple(answers(runs, max_drop)),
        sections=tuple(one for one in sections if one.figures),
        notes=_common_notes(runs),
    )


def summary(runs: Sequence[Run]) -> str:
    """How much of what was measured when, in one line."""
    files = {run.record.sha256 for run in runs}
    families = {run.family for run in runs}
    runtimes = {run.record.runtime for run in runs}
    days = sorted({run.record.time[:10] for run in runs})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return " · ".join(
        [
            counted(len(files), "file"),
            counted(len(families), "family", "families"),
            counted(len(runtimes), "runtime"),
            f"measured {when}",
        ]
    )


def _common_notes(runs: Sequence[Run]) -> tuple[str, ...]:
    places = by_place(runs)
    if len(places) < 2:
        return ()
    names = joined([place_title(place) for place in list(places)[:_MOST_PLACES]])
    return (f"Measured in {len(places)} places, {names}: latencies compare within one of them only.",)
