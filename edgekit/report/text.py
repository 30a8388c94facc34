"""A report as text: Markdown for a pull request, CSV for a spreadsheet, JSON for a program."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from edgekit.measure.record import AccuracyRecord, AnyRecord, LatencyRecord, Model
from edgekit.report.document import Answer, Document, Section, Table, shown
from edgekit.results import JSON

__all__ = ["answers_json", "csv_lines", "json_text", "markdown"]

_MOST_ROWS = 40
_SPECIAL = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|#~"})
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def markdown(document: Document) -> str:
    """The document without its pictures; tables have their first rows and say how many are left out."""
    blocks = [f"# {_escaped(document.title)}", _escaped(document.summary), *_notes(document.notes)]
    for answer in document.answers:
        blocks += _answer(answer)
    for section in document.sections:
        blocks += _section(section)
    return "\n\n".join(block for block in blocks if block) + "\n"


def csv_lines(records: Iterable[AnyRecord]) -> str:
    """One line for each latency and accuracy record, samples left out."""
    rows = [_flat(one) for one in records if isinstance(one, LatencyRecord | AccuracyRecord)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _safe(value) for name, value in row.items()} for row in rows)
    return out.getvalue()


def json_text(document: Document, records: Sequence[AnyRecord]) -> str:
    """One object: the answers in sentences, and all records as they were read."""
    value = {
        "schema": 1,
        "answers": answers_json(document),
        "records": [msgspec.to_builtins(one) for one in records],
    }
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def answers_json(document: Document) -> list[JSON]:
    """What to do on each target, in sentences."""
    return [
        {
            "place": one.place,
            "answer": one.headline,
            "reason": one.reason,
            "gained": one.gained,
            "lost": one.lost,
            "others": list(one.others),
            "warnings": list(one.notes),
        }
        for one in document.answers
    ]


def _answer(answer: Answer) -> list[str]:
    lines = [
        f"- **{name}**: {_escaped(value)}"
        for name, value in (
            ("Gained", answer.gained),
            ("Lost", answer.lost),
            *(("Or instead", other) for other in answer.others),
        )
        if value
    ]
    return [
        f"## {_escaped(answer.headline)}",
        f"_{_escaped(answer.place)}_",
        _escaped(answer.reason),
        "\n".join(lines),
        *_notes(answer.notes),
    ]


def _section(section: Section) -> list[str]:
    # The legend of a picture means nothing without it, so a section's paragraphs stay away.
    blocks = [f"## {_escaped(section.title)}"]
    for figure in section.figures:
        if figure.table is None:
            continue
        table = _table(figure.table)
        blocks += [f"### {_escaped(figure.title)}"] if figure.title != section.title else []
        blocks += _notes(figure.notes)
        is_long = len(figure.table.rows) > _MOST_ROWS // 2
        summary = f"{len(figure.table.rows):,} rows"
        blocks.append(f"<details><summary>{summary}</summary>\n\n{table}\n\n</details>" if is_long else table)
    if section.commands:
        blocks.append("```sh\n{}\n```".format("\n".join(section.commands).replace("```", "` ` `")))
    return blocks + _notes(section.notes)


def _table(table: Table) -> str:
    lines = [
        "| " + " | ".join(_escaped(column.title) for column in table.columns) + " |",
        "|" + "|".join("---:" if column.is_number else "---" for column in table.columns) + "|",
        *("| " + " | ".join(_escaped(shown(cell)) for cell in row) + " |" for row in table.rows[:_MOST_ROWS]),
    ]
    left = len(table.rows) - _MOST_ROWS
    return "\n".join(lines) + (f"\n\n{left:,} more rows are in the records." if left > 0 else "")


def _notes(sentences: Iterable[str]) -> list[str]:
    return [f"> ⚠ {_escaped(sentence)}" for sentence in sentences]


def _escaped(text: str) -> str:
    return " ".join(text.split()).translate(_SPECIAL)


def _flat(record: LatencyRecord | AccuracyRecord) -> dict[str, Any]:
    """The record's plain fields, those of its parts under ``part.field``."""
    whole: dict[str, Any] = msgspec.to_builtins(record)
    for name in ("samples_ms", "rounds", "sustained"):
        whole.pop(name, None)
    model = whole.pop("model") or {}
    row: dict[str, Any] = {}
    for name, value in whole.items():
        if isinstance(value, dict):
            row |= {f"{name}.{inner}": _joined(one) for inner, one in value.items()}
        else:
            row[name] = _joined(value)
    return row | {f"model.{name}": model.get(name) for name in Model.__struct_fields__}


def _joined(value: object) -> object:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else value


def _safe(value: object) -> object:
    """A text that a spreadsheet would take for a formula gets an apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
