"""The sections that close a report: every number, the machines, and the commands that repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from itertools import islice

from edgekit.measure.record import Environment
from edgekit.report.document import Cell, Column, Figure, Section, Table
from edgekit.report.runs import Run
from edgekit.report.tables import measurements_table, number

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
    machines = {
        (one.host, one.cpu, one.os, one.python, one.edgekit): one
        for one in (run.record.environment for run in reversed(runs))
    }
    rows = tuple(map(_machine, reversed(machines.values())))
    given = dict.fromkeys(one.command for run in runs for one in run.records if one.command)
    commands = tuple(shlex.join(one) for one in islice(given, _MOST_COMMANDS))
    notes = list(dict.fromkeys(sentence for run in runs for sentence in run.warnings))
    if len(given) > len(commands):
        notes.append(f"{len(given) - len(commands):,} more commands are in the records.")
    table = Table("environment-table", "Machines", columns, rows)
    figure = Figure("environment-all", "Machines", "As each was at its first measurement.", None, table)
    return Section(
        "environment",
        "Where and how",
        ("These commands repeat the measurements.",) if commands else (),
        (figure,),
        tuple(notes),
        commands,
    )


def _machine(one: Environment) -> tuple[Cell, ...]:
    return (
        one.host or "unknown",
        one.cpu or "unknown",
        number(one.cores, str(one.cores)),
        number(one.memory_bytes, f"{(one.memory_bytes or 0) / 1e9:.1f}"),
        one.os or "unknown",
        one.python or "unknown",
        one.edgekit or "unknown",
        _between(one.clock_mhz),
        _between(one.load),
    )


def _between(pair: tuple[float, float] | None) -> str:
    return (
        "unknown"
        if pair is None
        else f"{pair[0]:.4g}"
        if pair[0] == pair[1]
        else f"{pair[0]:.4g} to {pair[1]:.4g}"
    )
