"""A picture of a network's errors: three lines over its layers, from the first to the last."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.report import drawing, theme
from edgekit.report.vega import Spec, colored, field, layer, tooltips

__all__ = ["LayerPoint", "draw"]

_SERIES = {
    "output, all errors so far": "output_sqnr_db",
    "weights alone": "weight_sqnr_db",
    "activations alone": "activation_sqnr_db",
}
_WIDTH_OF_LAYER = 12  # pixels


@dataclass(frozen=True)
class LayerPoint:
    """One layer's ratios of signal to noise in dB; None or infinite ones are left out."""

    name: str
    output_sqnr_db: float | None
    weight_sqnr_db: float | None
    activation_sqnr_db: float | None


def draw(path: Path, layers: Sequence[LayerPoint], *, title: str) -> None:
    """Draw ``layers``, in the network's order, into ``path``: a .svg or .png picture or an .html page.

    Raises InputError for another suffix, MissingExtraError without the drawing library, and OutputError
    when the file cannot be written.
    """
    drawing.check_suffix(path)
    data = {"errors": _values(layers)}
    drawing.draw(path, drawing.specification(_chart(layers, title), data, theme.LIGHT, _SERIES))


def _values(layers: Sequence[LayerPoint]) -> drawing.Rows:
    return [
        {"layer": layer.name, "error": series, "sqnr_db": value}
        for layer in layers
        for series, field in _SERIES.items()
        if (value := getattr(layer, field)) is not None and math.isfinite(value)
    ]


def _chart(layers: Sequence[LayerPoint], title: str) -> Spec:
    axis = {"labelAngle": -90, "labelLimit": 200}
    encoding = {
        "x": field("layer:N", title=None, sort=[one.name for one in layers], axis=axis),
        "y": field("sqnr_db:Q", title="signal to quantization noise, dB", scale={"zero": False}),
        "color": colored("error", theme.series(theme.LIGHT, _SERIES)),
        "tooltip": tooltips("layer:N", "error:N", "sqnr_db:Q"),
    }
    marks = [
        layer("errors", "line", [encoding], strokeWidth=1),
        layer("errors", "circle", [encoding], size=18),
    ]
    width = max(320, _WIDTH_OF_LAYER * len(layers))
    return {"layer": marks, "width": width, "height": 320, "title": title}
