"""Texts and tables as lines of a given width."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

__all__ = ["GAP", "LEAST_WIDTH", "Column", "Line", "table", "wrapped"]

LEAST_WIDTH = 10
"""Characters of a line below which texts are no longer broken."""
GAP = "  "
"""Between columns."""


class Column(NamedTuple):
    """A table's column; numbers are aligned right, and what is optional is rather left out than wrapped."""

    title: str
    is_number: bool = False
    is_optional: bool = False


class Line(NamedTuple):
    """A line of a table; titles and footers stand out."""

    text: str
    is_bold: bool = False


def wrapped(text: str, width: int | None) -> list[str]:
    """``text`` in lines of at most ``width``, but for words that are longer; None is any width."""
    if width is None or len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], footer: Sequence[str] | None, width: int | None
) -> Iterator[Line]:
    """The lines of a table.

    Where ``width`` is too narrow for it, titles and texts take several lines; if that is not enough,
    optional columns are left out, which is said below; at last, long words lose their beginning. Numbers
    stay whole.
    """
    body = [*rows, *([footer] if footer else [])]
    needs = [_needs(column, [row[index] for row in body]) for index, column in enumerate(columns)]
    kept = _kept(columns, needs, width)
    widths, gap = _fit([needs[index] for index in kept], width)
    lines = [[column.title for column in columns], *body]
    for number, line in enumerate(lines):
        is_bold = number == 0 or (footer is not None and number == len(lines) - 1)
        cells = [(line[index], columns[index].is_number) for index in kept]
        yield from (Line(text, is_bold) for text in _row(cells, widths, gap))
    left_out = [column.title for index, column in enumerate(columns) if index not in kept]
    if left_out:
        yield from map(Line, wrapped(f"Left out, for want of room: {', '.join(left_out)}.", width))


class _Needs(NamedTuple):
    """How wide a column is: on one line, with its title and with its texts on several, and with words cut."""

    natural: int
    wrapped: int
    whole: int
    least: int


def _needs(column: Column, cells: Sequence[str]) -> _Needs:
    word = _longest(column.title.split())
    flat = max(word, _longest(cells))
    natural = max(len(column.title), flat)
    if column.is_number or column.is_optional:
        return _Needs(natural, flat, flat, flat)
    whole = max(word, _longest(part for cell in cells for part in cell.split()))
    return _Needs(natural, flat, whole, min(whole, max(word, LEAST_WIDTH)))


def _longest(texts: Iterable[str]) -> int:
    return max(map(len, texts), default=0)


def _kept(columns: Sequence[Column], needs: Sequence[_Needs], room: int | None) -> list[int]:
    """Which columns are shown: optional ones go, the last first, until no word has to be cut."""
    kept = list(range(len(columns)))
    for index in reversed(range(len(columns))):
        if room is None or _width([needs[one].whole for one in kept], GAP) <= room:
            break
        if columns[index].is_optional:
            kept.remove(index)
    return kept


def _fit(needs: Sequence[_Needs], room: int | None) -> tuple[list[int], str]:
    """Widths of the columns and the gap between them: what they need, or what ``room`` leaves them."""
    widths = [one.natural for one in needs]
    if room is None or _width(widths, GAP) <= room:
        return widths, GAP
    widths, floors = [one.wrapped for one in needs], [one.whole for one in needs]
    gap = GAP
    if _width(floors, gap) > room:
        floors = [one.least for one in needs]
        gap = GAP if _width(floors, GAP) <= room else " "
    while _width(widths, gap) > room and widths != floors:
        widest = max(range(len(widths)), key=lambda index: (widths[index] > floors[index], widths[index]))
        widths[widest] -= 1
    return widths, gap


def _width(widths: Sequence[int], gap: str) -> int:
    return sum(widths) + len(gap) * (len(widths) - 1)


def _row(cells: Sequence[tuple[str, bool]], widths: Sequence[int], gap: str) -> Iterator[str]:
    """One row, as many lines as its longest cell; with each cell, whether it is a number."""
    lines = [
        [_cut(line, width) for line in wrapped(text, width)]
        for (text, _), width in zip(cells, widths, strict=True)
    ]
    for parts in zip_longest(*lines, fillvalue=""):
        yield gap.join(
            part.rjust(width) if is_number else part.ljust(width)
            for part, width, (_, is_number) in zip(parts, widths, cells, strict=True)
        ).rstrip()


def _cut(text: str, width: int) -> str:
    """``text`` without its beginning where it is too long: names differ at their ends."""
    return text if len(text) <= width else f"…{text[len(text) - width + 1 :]}"
