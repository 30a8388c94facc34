"""A picture of accuracy against cost: points by family, and the front that no point beats."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.report import drawing, theme
from edgekit.report.vega import Spec, colored, field, layer, log_scale, tooltips

__all__ = ["FrontPoint", "draw"]


_LEAST_SHARE = 1 / 30
_PADDING = 12
_SUBTITLE = "The line is the front: nothing that costs less is as accurate. Pale marks are beaten."


@dataclass(frozen=True)
class FrontPoint:
    """One network of the picture. ``is_front``: no other is both cheaper and as accurate."""

    family: str
    label: str
    cost: float
    top1: float
    is_front: bool


def draw(path: Path, points: Sequence[FrontPoint], *, cost_title: str, budget: float, title: str) -> None:
    """Draw ``points`` into ``path``: a .svg or .png picture, or an .html page that shows labels.

    ``budget`` is marked on the cost axis; what costs less than a thirtieth of it is left out, where there is
    more. Raises InputError for another suffix, MissingExtraError without
    the drawing library, and OutputError when the file cannot be written.
    """
    drawing.check_suffix(path)
    near = [point for point in points if point.cost >= budget * _LEAST_SHARE] or points
    data = {"points": [vars(point) for point in _distinct(near)], "budget": [{"cost": budget}]}
    colors = theme.series(theme.LIGHT, sorted({point.family for point in near}))
    chart = _chart(colors, cost_title, title)
    drawing.draw(path, drawing.specification(chart, data, theme.LIGHT, colors))


def _distinct(points: Iterable[FrontPoint]) -> Iterable[FrontPoint]:
    """One of those that would be drawn on top of each other, and look as dark as the front's."""
    return {
        (one.family, f"{one.cost:.3g}", f"{one.top1:.1f}", one.label if one.is_front else ""): one
        for one in points
    }.values()


def _chart(colors: Mapping[str, str], cost_title: str, title: str) -> Spec:
    place = {
        "x": field(
            "cost:Q",
            title=cost_title,
            scale=log_scale(padding=_PADDING),
            axis={"format": "~s", "tickCount": 6},
        ),
        "y": field("top1:Q", title="predicted top-1, %", scale={"zero": False}),
    }
    dots = {
        "color": colored("family", colors),
        "opacity": {"condition": {"test": "datum.is_front", "value": 1.0}, "value": 0.28},
        "tooltip": tooltips("label:N", "cost:Q", "top1:Q"),
    }
    line = layer("points", "line", [place], interpolate="step-after", color=theme.LIGHT.muted, strokeWidth=1)
    layers = [
        {"transform": [{"filter": "datum.is_front"}], **line},
        layer("points", "circle", [place, dots], size=26, aria=False),  # hundreds of sentences otherwise
        layer("budget", "rule", [{"x": field("cost:Q")}], strokeDash=[4, 3]),
    ]
    return {"layer": layers, "width": 640, "height": 400, "title": {"text": title, "subtitle": _SUBTITLE}}
