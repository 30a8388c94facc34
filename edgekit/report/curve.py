"""A picture of int8's accuracy against the number of calibration images, one line for each source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.report import drawing, theme
from edgekit.report.vega import Spec, colored, field, layer, log_scale, tooltips

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
    colors = theme.series(theme.LIGHT, [point.source for point in points])
    common = {
        "x": field("images:Q", title="calibration images", scale=log_scale()),
        "color": colored("source", colors),
        "tooltip": tooltips("source:N", "images:Q", "sqnr_db:Q", "agreement:Q"),
    }
    rows = [
        _lines(common, "sqnr_db", "SQNR of the logits, dB"),
        _lines(common, "agreement", "agreement with fp32, %"),
    ]
    chart = {"vconcat": rows, "title": title}
    drawing.draw(path, drawing.specification(chart, data, theme.LIGHT, colors))


def _lines(common: Spec, name: str, title: str) -> Spec:
    y = {"y": field(f"{name}:Q", title=title, scale={"zero": False})}
    layers = [layer("points", "line", [common, y]), layer("points", "circle", [common, y], size=30)]
    return {"layer": layers, "width": 480, "height": 200}
