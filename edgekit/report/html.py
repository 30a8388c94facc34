"""A report as one HTML file that needs nothing else: no network, no server, no other file.

Everything from the records is text to the template engine, which escapes it; what is data to a script is
JSON in which no ``<`` is left. A content security policy lets run the page's own two scripts, known by
their hashes, and nothing load.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from edgekit import __version__
from edgekit.errors import MissingExtraError
from edgekit.files import write_atomically
from edgekit.report import theme
from edgekit.report.document import Document, Figure, Table, shown
from edgekit.report.drawing import vl_convert
from edgekit.report.wording import counted
from edgekit.resources import cache_folder

__all__ = ["FIRST_ROWS", "render"]

FIRST_ROWS = 100
"""Rows of a table that are in the page from the start; the others are shown on request."""

_UNIT = re.compile(r"(?<=\d) (%|ms|MB|KB|GB|points?|threads?)(?!\w)")
_FOLDER = Path(__file__).resolve().parent / "page"


def render(document: Document) -> str:
    """The page. Raises MissingExtraError without the template engine or the drawing library."""
    try:
        import jinja2
    except ImportError as exc:
        raise MissingExtraError("jinja2", "report", "writing an HTML report") from exc
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters |= {"bound": _bound, "shown": shown}
    figures = [figure for section in document.sections for figure in section.figures]
    library, script = _library(), _read("report.js")
    return environment.get_template("report.html.jinja").render(
        document=document,
        version=__version__,
        policy=_policy(library, script),
        style=Markup(_style()),
        library=Markup(library),
        script=Markup(script),
        charts=Markup(_json({one.key: _chart(one) for one in figures if one.chart})),
        tables=Markup(_json({one.key: _rows(one) for one in (figure.table for figure in figures) if one})),
        first_rows=FIRST_ROWS,
        rows_shown=_rows_shown,
    )


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _style() -> str:
    light, dark = (_variables(palette) for palette in (theme.LIGHT, theme.DARK))
    dark_rule = f"@media screen and (prefers-color-scheme: dark){{:root{{{dark}}}}}"
    return f":root{{{light}}}{dark_rule}\n{_read('report.css')}"


def _variables(palette: theme.Palette) -> str:
    return "".join(f"{name}:{color};" for name, color in palette.css().items())


def _library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script; kept, since joining them takes seconds."""
    converter = vl_convert()
    path = cache_folder() / "report" / f"vega-{converter.__version__}.js"
    if not path.is_file():
        write_atomically(path, str(converter.javascript_bundle("window.vegaEmbed=vegaEmbed;")))
    return path.read_text(encoding="utf-8")


def _policy(*scripts: str) -> str:
    hashes = " ".join(f"'sha256-{_hash(script)}'" for script in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
    )


def _hash(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _json(value: object) -> str:
    """JSON that may stand inside a script element: no text in it can end that element or open another."""
    text = msgspec.json.encode(value).decode()
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _chart(figure: Figure) -> Mapping[str, Any]:
    return {"description": f"{figure.title}. {figure.caption}", **(figure.chart or {})}


def _rows(table: Table) -> Mapping[str, Any]:
    return {
        "first": FIRST_ROWS,
        "numbers": [column.is_number for column in table.columns],
        "rows": table.rows,
    }


def _bound(sentence: str) -> str:
    """``sentence`` with its numbers bound to their units: a line does not break between them."""
    return _UNIT.sub("\u00a0\\1", sentence)


def _rows_shown(table: Table) -> str:
    number = len(table.rows)
    return counted(number, "row") if number <= FIRST_ROWS else f"{FIRST_ROWS} of {counted(number, 'row')}"
