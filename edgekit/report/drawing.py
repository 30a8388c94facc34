"""Charts become files: a picture for a document, or a page of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekit.errors import InputError, MissingExtraError
from edgekit.files import write_atomically
from edgekit.report import theme
from edgekit.report.vega import Spec

__all__ = ["SUFFIXES", "Rows", "check_suffix", "draw", "specification", "vl_convert"]

SUFFIXES = (".svg", ".png", ".html")
Rows = Sequence[Mapping[str, object]]

_PIXELS_PER_POINT = 2
_COORDINATES = re.compile(r' (?:transform|d)="[^"]*"')
_FRACTION = re.compile(r"\.(\d\d)\d+")
_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"


def vl_convert() -> Any:
    """What turns charts into pictures. Raises MissingExtraError."""
    try:
        import vl_convert
    except ImportError as exc:
        raise MissingExtraError("vl-convert-python", "report", "drawing") from exc
    return vl_convert


def check_suffix(path: Path) -> None:
    """Raise InputError unless ``path`` has a suffix that :func:`draw` knows."""
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"{path} has the suffix {path.suffix!r}, expected one of {', '.join(SUFFIXES)}")


def specification(
    chart: Spec, data: Mapping[str, Rows], palette: theme.Palette, labels: Iterable[str] = ()
) -> Spec:
    """A Vega-Lite object by itself: ``chart`` with its named data sets and the look that all share.

    ``labels`` are those of its legend, which decide how many stand side by side.
    """
    fitted = (
        {"autosize": {"type": "fit-x", "contains": "padding"}} if chart.get("width") == "container" else {}
    )
    return {
        "$schema": _SCHEMA,
        **chart,
        **fitted,
        "datasets": {name: [dict(row) for row in rows] for name, rows in data.items()},
        "config": theme.config(palette, labels),
    }


def draw(path: Path, spec: Mapping[str, Any]) -> None:
    """Write a chart as .svg, .png, or an .html page that needs no network.

    Raises InputError for another suffix, MissingExtraError without the drawing library, and OutputError
    when the file cannot be written.
    """
    check_suffix(path)
    converter, text = vl_convert(), json.dumps(spec)
    suffix = path.suffix.lower()
    if suffix == ".svg":
        write_atomically(path, _COORDINATES.sub(_rounded, str(converter.vegalite_to_svg(text))))
    elif suffix == ".png":
        write_atomically(path, bytes(converter.vegalite_to_png(text, scale=_PIXELS_PER_POINT)))
    else:
        write_atomically(path, str(converter.vegalite_to_html(text, bundle=True)))


def _rounded(attribute: re.Match[str]) -> str:
    """Coordinates to a hundredth of a point, which halves a picture."""
    return _FRACTION.sub(r".\1", attribute.group())
