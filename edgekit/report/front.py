"""A picture of accuracy against cost: points by family, and the front that no point beats."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import InputError, MissingExtraError
from edgekit.files import write_atomically

__all__ = ["FrontPoint", "draw"]

_SUFFIXES = (".svg", ".png", ".html")


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
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{path} has the suffix {path.suffix!r}, expected one of {', '.join(_SUFFIXES)}")
    chart = _chart(points, cost_title, budget, title)
    write_atomically(path, _rendered(chart, path.suffix.lower().removeprefix(".")))


def _chart(points: Sequence[FrontPoint], cost_title: str, budget: float, title: str) -> Any:
    altair = _altair()
    data = altair.Data(values=[vars(point) for point in points])
    cost = altair.X("cost:Q", title=cost_title, scale=altair.Scale(type="log", nice=False))
    top1 = altair.Y("top1:Q", title="predicted top-1, %", scale=altair.Scale(zero=False))
    dots = (
        altair.Chart(data)
        .mark_circle(size=22)
        .encode(
            x=cost,
            y=top1,
            color=altair.Color("family:N", title="family"),
            opacity=altair.condition("datum.is_front", altair.value(1.0), altair.value(0.35)),
            tooltip=["label:N", "cost:Q", "top1:Q"],
        )
    )
    front = (
        altair.Chart(data)
        .transform_filter("datum.is_front")
        .mark_line(interpolate="step-after", color="#666", strokeWidth=1)
        .encode(x=cost, y=top1)
    )
    limit = (
        altair.Chart(altair.Data(values=[{"cost": budget}])).mark_rule(strokeDash=[4, 3]).encode(x="cost:Q")
    )
    return altair.layer(front, dots, limit).properties(width=640, height=400, title=title)


def _rendered(chart: Any, suffix: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"front.{suffix}")
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
