"""A picture of a network's errors: three lines over its layers, from the first to the last."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.errors import InputError, MissingExtraError
from edgekit.files import write_atomically

__all__ = ["LayerPoint", "draw"]

_SUFFIXES = (".svg", ".png", ".html")
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
    if path.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{path} has the suffix {path.suffix!r}, expected one of {', '.join(_SUFFIXES)}")
    chart = _chart(layers, title)
    write_atomically(path, _rendered(chart, path.suffix.lower().removeprefix(".")))


def _chart(layers: Sequence[LayerPoint], title: str) -> Any:
    altair = _altair()
    values = [
        {"layer": layer.name, "error": series, "sqnr_db": value}
        for layer in layers
        for series, field in _SERIES.items()
        if (value := getattr(layer, field)) is not None and math.isfinite(value)
    ]
    order = [layer.name for layer in layers]
    base = altair.Chart(altair.Data(values=values)).encode(
        x=altair.X("layer:N", title=None, sort=order, axis=altair.Axis(labelAngle=-90, labelLimit=200)),
        y=altair.Y("sqnr_db:Q", title="signal to quantization noise, dB", scale=altair.Scale(zero=False)),
        color=altair.Color("error:N", title="error of", sort=list(_SERIES)),
        tooltip=["layer:N", "error:N", "sqnr_db:Q"],
    )
    width = max(320, _WIDTH_OF_LAYER * len(layers))
    return altair.layer(base.mark_line(strokeWidth=1), base.mark_circle(size=18)).properties(
        width=width, height=320, title=title
    )


def _rendered(chart: Any, suffix: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"layers.{suffix}")
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
