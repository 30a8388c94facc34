"""How every picture looks: colours that hold on paper and on a dark screen, and few lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

__all__ = ["DARK", "LIGHT", "PAGE", "SERIES", "Palette", "config", "series"]

SERIES = 7
"""How many kinds have a colour of their own; what comes after shares the last, a grey."""

_WIDTH_PIXELS = 620  # of a picture; pages have a little more
_SYMBOL_PIXELS, _LETTER_PIXELS = 34, 6.1
_SANS = "Inter, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"


@dataclass(frozen=True)
class Palette:
    """CSS colours by what they mean. The seven of ``series`` differ for colour-blind readers too."""

    ink: str
    muted: str
    rule: str
    faint: str
    paper: str
    warning: str
    series: tuple[str, ...]

    def css(self) -> dict[str, str]:
        """The colours as custom properties of a page: ``--ink`` … and ``--series-0`` …"""
        plain = {field.name: getattr(self, field.name) for field in fields(self) if field.name != "series"}
        numbered = {f"series-{index}": color for index, color in enumerate(self.series)}
        return {f"--{name}": color for name, color in (plain | numbered).items()}


LIGHT = Palette(
    ink="#1c1a17",
    muted="#5f5a52",
    rule="#ddd7cc",
    faint="#a39c90",
    paper="#fffdf9",
    warning="#9a4a00",
    series=("#0b6aa2", "#c2410c", "#0f7b5f", "#8b3d88", "#a16207", "#b4235a", "#6b6660"),
)
DARK = Palette(
    ink="#ece7de",
    muted="#a9a297",
    rule="#3a3733",
    faint="#77716a",
    paper="#171614",
    warning="#f0a45a",
    series=("#6cb8ec", "#f58f5c", "#4fc3a1", "#d08fd0", "#dcb04a", "#f07ea5", "#a39d95"),
)
PAGE = Palette(
    **{field.name: f"var(--{field.name})" for field in fields(Palette) if field.name != "series"},
    series=tuple(f"var(--series-{index})" for index in range(SERIES)),
)
"""The page's own colours: a picture drawn with them follows the page from light to dark and to paper."""


def series(palette: Palette, names: Iterable[str]) -> Mapping[str, str]:
    """A colour for each name, in the order given."""
    return {name: palette.series[min(index, SERIES - 1)] for index, name in enumerate(dict.fromkeys(names))}


def config(palette: Palette, labels: Iterable[str] = ()) -> dict[str, Any]:
    """Vega-Lite's configuration: no frame, horizontal rules only, small type, no background.

    The legend has as many columns as its ``labels`` leave room for, each of them whole.
    """
    return {
        "background": "transparent" if palette is PAGE else palette.paper,
        "font": _SANS,
        "padding": 6,
        "view": {"stroke": None},
        "title": {"color": palette.ink, "fontSize": 15, "fontWeight": 600, "anchor": "start", "offset": 14}
        | {"subtitleColor": palette.muted, "subtitleFontSize": 11.5, "subtitlePadding": 6},
        "axis": {
            "domainColor": palette.faint,
            "gridColor": palette.rule,
            "gridOpacity": 0.7,
            "labelColor": palette.muted,
            "labelFontSize": 11.5,
            "labelLimit": 220,
            "tickColor": palette.faint,
            "tickSize": 4,
            "titleColor": palette.ink,
            "titleFontSize": 12,
            "titleFontWeight": 500,
            "titlePadding": 10,
        },
        "axisX": {"grid": False},
        "axisY": {"domain": False, "ticks": False, "labelPadding": 6},
        "legend": {
            "labelColor": palette.ink,
            "labelFontSize": 11.5,
            "orient": "top",
            "columns": _columns([_SYMBOL_PIXELS + _LETTER_PIXELS * len(label) for label in labels]),
            "labelLimit": 0,
            "symbolBaseFillColor": palette.muted,
            "symbolBaseStrokeColor": palette.muted,
            "symbolOpacity": 1,
            "symbolStrokeWidth": 1.6,
            "titleColor": palette.muted,
            "titleFontSize": 11.5,
            "titleFontWeight": 500,
        },
        "text": {"color": palette.ink, "fontSize": 11},
        "rule": {"color": palette.faint},
    }


def _columns(entries_pixels: Sequence[float]) -> int:
    """All entries of a legend side by side, or as many of the widest as fit."""
    if sum(entries_pixels) <= _WIDTH_PIXELS:
        return max(1, len(entries_pixels))
    return max(1, int(_WIDTH_PIXELS / max(entries_pixels)))
