"""A report as plain data: what is said, drawn and tabulated, whatever it is written as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

__all__ = [
    "MOST_ROWS",
    "Answer",
    "Bar",
    "Cell",
    "Column",
    "Document",
    "Figure",
    "Number",
    "Section",
    "Table",
    "shown",
]

MOST_ROWS = 1000
"""Rows of a table behind a chart; one table has all."""


class Number(NamedTuple):
    """A number as it is written, and as it sorts; one that is not known comes last."""

    text: str
    value: float | None


class Bar(NamedTuple):
    """A number with a bar; ``share`` is its length from 0 to 1."""

    text: str
    value: float | None
    share: float


Cell: TypeAlias = str | Number | Bar
"""A text sorts as it is shown."""


def shown(cell: Cell) -> str:
    """What a cell shows."""
    return cell if isinstance(cell, str) else cell.text


class Column(NamedTuple):
    """A table's column; numbers are aligned right, and sorted largest first."""

    title: str
    is_number: bool = False


@dataclass(frozen=True)
class Table:
    """Rows with a cell for each column. ``key`` is unique in the document."""

    key: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Figure:
    """A chart (a Vega-Lite object), its numbers, and beside it what to beware of (``notes``) and to know."""

    key: str
    title: str
    caption: str
    chart: Mapping[str, Any] | None
    table: Table | None
    notes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    is_open: bool = True


@dataclass(frozen=True)
class Section:
    """A heading with sentences and figures. ``commands`` are lines that a reader may want to copy."""

    key: str
    title: str
    paragraphs: tuple[str, ...] = ()
    figures: tuple[Figure, ...] = ()
    notes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What to do on one target, in sentences. ``headline`` names the file, or says that none is best."""

    place: str
    headline: str
    reason: str
    gained: str = ""
    lost: str = ""
    others: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Document:
    """A whole report. ``summary`` says in one line what was measured."""

    title: str
    summary: str
    answers: tuple[Answer, ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...] = field(default=())
