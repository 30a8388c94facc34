"""A picture of accuracy against cost: points by family, and the front that no point beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.report import drawing, theme

__all__ = ["FrontPoint", "draw"]


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

    ``budget`` is marked on the cost axis. Raises InputError for another suffix, MissingExtraError without
    the drawing library, and OutputError when the file cannot be written.
    """
    drawing.check_suffix(path)
    data = {"points": [vars(point) for point in points], "budget": [{"cost": budget}]}
    chart = _chart(points, cost_title, title)
    drawing.draw(path, drawing.specification(chart, data, theme.LIGHT))


def _chart(points: Sequence[FrontPoint], cost_title: str, title: str) -> Any:
    altair = drawing.altair()
    colors = theme.series(theme.LIGHT, sorted({point.family for point in points}))
    cost = altair.X(
        "cost:Q", title=cost_title, scale=altair.Scale(type="log", nice=False), axis=altair.Axis(format="~s")
    )
    top1 = altair.Y("top1:Q", title="predicted top-1, %", scale=altair.Scale(zero=False))
    base = altair.Chart(altair.NamedData("points"))
    dots = base.mark_circle(size=26).encode(
        x=cost,
        y=top1,
        color=altair.Color(
            "family:N", title=None, scale=altair.Scale(domain=list(colors), range=list(colors.values()))
        ),
        opacity=altair.condition("datum.is_front", altair.value(1.0), altair.value(0.28)),
        tooltip=["label:N", "cost:Q", "top1:Q"],
    )
    front = (
        base.transform_filter("datum.is_front")
        .mark_line(interpolate="step-after", color=theme.LIGHT.muted, strokeWidth=1)
        .encode(x=cost, y=top1)
    )
    limit = altair.Chart(altair.NamedData("budget")).mark_rule(strokeDash=[4, 3]).encode(x="cost:Q")
    return altair.layer(front, dots, limit).properties(width=640, height=400, title=title)
