"""A picture of int8's accuracy against the number of calibration images, one line for each source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.report import drawing, theme

__all__ = ["CountPoint", "draw"]


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
    drawing.check_suffix(path)
    data = {"points": [vars(point) for point in points]}
    drawing.draw(path, drawing.specification(_chart(points, title), data, theme.LIGHT))


def _chart(points: Sequence[CountPoint], title: str) -> Any:
    altair = drawing.altair()
    colors = theme.series(theme.LIGHT, [point.source for point in points])
    base = altair.Chart(altair.NamedData("points")).encode(
        x=altair.X("images:Q", title="calibration images", scale=altair.Scale(type="log", nice=False)),
        color=altair.Color(
            "source:N",
            title="images are",
            scale=altair.Scale(domain=list(colors), range=list(colors.values())),
        ),
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
