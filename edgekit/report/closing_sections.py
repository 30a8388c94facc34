"""The sections that close a report: every number, the machines, and the commands that repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from edgekit.report.document import Cell, Column, Figure, Section, Table
from edgekit.report.runs import Run
from edgekit.report.tables import measurements_table, number, text

__all__ = ["environment_section", "measurements_section"]

_MOST_COMMANDS = 60


def measurements_section(runs: Sequence[Run]) -> Section:
    figure = Figure(
        "measurements-all",
        "Every measurement",
        "Sort by a heading, filter by any word.",
        None,
        measurements_table(runs),
    )
    return Section("measurements", "Every measurement", figures=(figure,))


def environment_section(runs: Sequence[Run]) -> Section:
    columns = (
        Column("machine"),
        Column("processor"),
        Column("cores", True),
        Column("memory GB", True),
        Column("system"),
        Column("Python"),
        Column("edgekit"),
        Column("clock MHz"),
        Column("load"),
    )
    rows: dict[tuple[object, ...], tuple[Cell, ...]] = {}
    for run in runs:
        one = run.record.environment
        key = (one.host, one.cpu, one.os, one.python, one.edgekit)
        rows.setdefault(
            key,
            (
                text(one.host or "unknown"),
                text(one.cpu or "unknown"),
                number(one.cores, str(one.cores)),
                number(one.memory_bytes, f"{(one.memory_bytes or 0) / 1e9:.1f}"),
                text(one.os or "unknown"),
                text(one.python or "unknown"),
                text(one.edgekit or "unknown"),
                text(_between(one.clock_mhz)),
                text(_between(one.load)),
            ),
        )
    commands = list(
        dict.fromkeys(shlex.join(one.command) for run in runs for one in run.records if one.command)
    )
    notes = list(dict.fromkeys(sentence for run in runs for sentence in run.warnings))
    if len(commands) > _MOST_COMMANDS:
        notes.append(f"{len(commands) - _MOST_COMMANDS:,} more commands are in the records.")
    table = Table("environment-table", "Machines", columns, tuple(rows.values()))
    figure = Figure("environment-all", "Machines", "As each was at its first measurement.", None, table)
    return Section(
        "environment",
        "Where and how",
        ("These commands repeat the measurements.",) if commands else (),
        (figure,),
        tuple(notes),
        tuple(commands[:_MOST_COMMANDS]),
    )


def _between(pair: tuple[float, float] | None) -> str:
    return (
        "unknown"
        if pair is None
        else f"{pair[0]:.4g}"
        if pair[0] == pair[1]
        else f"{pair[0]:.4g} to {pair[1]:.4g}"
    )
