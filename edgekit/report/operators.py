"""Pictures of a profile: where the time goes, and how near each operator comes to the machine's limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import InputError
from edgekit.report import drawing, theme
from edgekit.report.vega import Spec, colored, field, layer, log_scale, tooltips

__all__ = ["OperatorPoint", "draw", "operators_chart", "roofline_chart"]

_MOST_BARS = 30
_BAR_HEIGHT = 17
_ROOFLINE = (
    "The line is what the machine can do: memory limits its slope, arithmetic its roof. Areas are times."
)
_MARGIN = 2.0  # how far the roof reaches beyond the outermost operators


@dataclass(frozen=True)
class OperatorPoint:
    """One operator: milliseconds, its share of the whole from 0 to 1, and what it computes and moves.

    ``macs`` are multiply-adds, ``moved_bytes`` what it reads and writes at least once; None is unknown.
    """

    name: str
    op: str
    ms: float
    share: float
    macs: int | None = None
    moved_bytes: int | None = None

    @property
    def intensity(self) -> float | None:
        """Multiply-adds for each byte moved; None where either is nothing or unknown."""
        return self.macs / self.moved_bytes if self.macs and self.moved_bytes else None

    @property
    def gmacs_per_s(self) -> float | None:
        """10⁹ multiply-adds a second; None where nothing is multiplied."""
        return self.macs / self.ms * 1e-6 if self.macs and self.ms > 0 else None


def draw(
    path: Path,
    points: Sequence[OperatorPoint],
    *,
    title: str,
    peak_gmacs_per_s: float | None = None,
    bandwidth_gb_per_s: float | None = None,
) -> None:
    """Draw a profile into ``path``: the roofline where the limits and the bytes are known, else the times.

    Raises InputError for a suffix other than .svg, .png and .html and for no operator at all,
    MissingExtraError without the drawing library, and OutputError when the file cannot be written.
    """
    drawing.check_suffix(path)
    if not points:
        raise InputError("there is no operator to draw")
    spec = None
    if peak_gmacs_per_s and bandwidth_gb_per_s:
        heading = {"text": title, "subtitle": _ROOFLINE}
        spec = roofline_chart(points, peak_gmacs_per_s, bandwidth_gb_per_s, title=heading)
    drawing.draw(path, spec or operators_chart(points, title=title))


def roofline_chart(
    points: Sequence[OperatorPoint],
    peak_gmacs_per_s: float,
    bandwidth_gb_per_s: float,
    *,
    palette: theme.Palette = theme.LIGHT,
    width: int | str = 640,
    title: str | Spec = "",
) -> Spec | None:
    """The roofline as a Vega-Lite object; None when no operator has multiply-adds and bytes.

    Under the slope memory limits an operator, under the flat roof arithmetic does. Areas are times.
    """
    placed = [
        (point, intensity, speed)
        for point in points
        if (intensity := point.intensity) is not None and (speed := point.gmacs_per_s) is not None
    ]
    if not placed:
        return None
    intensities = [intensity for _, intensity, _ in placed]
    speeds = [peak_gmacs_per_s, *(speed for _, _, speed in placed)]
    ridge = peak_gmacs_per_s / bandwidth_gb_per_s
    ends = (min(*intensities, ridge) / _MARGIN, max(*intensities, ridge) * _MARGIN)
    roof = [
        {"intensity": x, "gmacs_per_s": min(peak_gmacs_per_s, bandwidth_gb_per_s * x)}
        for x in (ends[0], ridge, ends[1])
    ]
    rows = [
        {
            "operator": point.name,
            "op": point.op,
            "ms": point.ms,
            "share": point.share,
            "intensity": intensity,
            "gmacs_per_s": speed,
        }
        for point, intensity, speed in placed
    ]
    colors = theme.series(palette, sorted({point.op for point, _, _ in placed}))
    powers = [10.0**power for power in range(-6, 9)]
    place = {
        "x": field(
            "intensity:Q",
            title="multiply-adds for each byte moved",
            scale=log_scale(domain=list(ends)),
            axis={"format": "~g", "tickCount": 6},
        ),
        "y": field(
            "gmacs_per_s:Q",
            title="10⁹ multiply-adds a second",
            scale=log_scale(domain=[min(speeds) / _MARGIN, max(speeds) * _MARGIN]),
            axis={"format": "~g", "values": powers},
        ),
    }
    dots = {
        "size": field("ms:Q", legend=None, scale={"range": [14, 420]}),
        "color": colored("op", colors),
        "tooltip": tooltips("operator:N", "op:N", "ms:Q", "gmacs_per_s:Q", "intensity:Q"),
    }
    marks = [
        layer("roof", "line", [place], color=palette.muted, strokeWidth=1.5),
        layer("operators", "circle", [place, dots], opacity=0.65),
    ]
    chart = {"layer": marks, "width": width, "height": 340, "title": title}
    return drawing.specification(chart, {"roof": roof, "operators": rows}, palette, colors)


def operators_chart(
    points: Sequence[OperatorPoint],
    *,
    palette: theme.Palette = theme.LIGHT,
    width: int | str = 640,
    title: str = "",
) -> Spec:
    """Bars of the slowest operators, slowest first, as a Vega-Lite object."""
    slowest = sorted(points, key=lambda point: -point.ms)[:_MOST_BARS]
    rows = [{"operator": one.name, "op": one.op, "ms": one.ms, "share": one.share} for one in slowest]
    colors = theme.series(palette, sorted({point.op for point in points}))
    encoding = {
        "x": field("ms:Q", title="milliseconds of one inference"),
        "y": field("operator:N", title=None, sort=None),
        "color": colored("op", colors),
        "tooltip": [*tooltips("operator:N", "op:N", "ms:Q"), field("share:Q", format=".1%")],
    }
    bars = layer("operators", "bar", [encoding], height=_BAR_HEIGHT - 6)
    chart = {**bars, "width": width, "height": _BAR_HEIGHT * len(rows), "title": title}
    return drawing.specification(chart, {"operators": rows}, palette, colors)
