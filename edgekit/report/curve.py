"""A picture of int8's accuracy against the number of calibration images, one line for each source."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import InputError, MissingExtraError
from edgekit.files import write_atomically

__all__ = ["CountPoint", "draw"]

_SUFFIXES = (".svg", ".png", ".html")


@dataclass(frozen=True)
class CountPoint:
    """SQNR of the logits in dB and agreement in percent after calibration on so many images."""

    source: str
    images: int
    sqnr_db: float
    agreement: float


def draw(path: Path, points: Sequence[CountPoint], *, title: str) -> None:
    """Draw ``points`` into ``path``: a .svg or .png picture or an .html page.

    Raises InputError for another suffix, MissingExtraError without the drawing library, and OutputError
    when the file cannot be written.
    """
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{path} has the suffix {path.suffix!r}, expected one of {', '.join(_SUFFIXES)}")
    chart = _chart(points, title)
    write_atomically(path, _rendered(chart, path.suffix.lower().removeprefix(".")))


def _chart(points: Sequence[CountPoint], title: str) -> Any:
    altair = _altair()
    base = altair.Chart(altair.Data(values=[vars(point) for point in points])).encode(
        x=altair.X("images:Q", title="calibration images", scale=altair.Scale(type="log", nice=False)),
        color=altair.Color("source:N", title="images are"),
        tooltip=["source:N", "images:Q", "sqnr_db:Q", "agreement:Q"],
    )
    rows = [
        _lines(altair, base, "sqnr_db", "SQNR of the logits, dB"),
        _lines(altair, base, "agreement", "agreement with fp32, %"),
    ]
    return altair.vconcat(*rows).properties(title=title)


def _lines(altair: Any, base: Any, field: str, title: str) -> Any:
    y = altair.Y(f"{field}:Q", title=title, scale=altair.Scale(zero=False))
    layered = altair.layer(base.mark_line().encode(y=y), base.mark_circle(size=30).encode(y=y))
    return layered.properties(width=480, height=200)


def _rendered(chart: Any, suffix: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"curve.{suffix}")
        try:
            chart.save(path)
        except (ImportError, ValueError) as exc:
            raise MissingExtraError("vl-convert-python", "report", f"drawing {suffix} files") from exc
        return Path(path).read_bytes()


def _altair() -> Any:
    try:
        import altair
    except ImportError as exc:
        raise MissingExtraError("altair", "report", "drawing") from exc
    return altair
