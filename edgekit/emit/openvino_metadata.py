"""What an application needs to know, inside the ``.xml``: ``model_info`` and ``edgekit`` in its ``rt_info``.

``model_info`` holds the keys that OpenVINO's Model API reads: model type, labels, and mean and scale in
units of pixels 0–255.
"""

from __future__ import annotations

import json
from typing import Any

import edgekit
from edgekit.emit.base import EmitOptions
from edgekit.emit.rendering import Rendered
from edgekit.options import Preprocessing, TensorSpec

__all__ = ["describe"]

_PIXEL_MAX = 255


def describe(model: Any, rendered: Rendered, options: EmitOptions) -> None:
    """Set the model's name and its ``rt_info``; ``model`` is an ``openvino.Model``."""
    model.set_friendly_name(options.name)
    entries: dict[tuple[str, ...], str] = {
        ("edgekit", "version"): edgekit.__version__,
        ("model_info", "model_type"): "Classification",
    }
    if options.description:
        entries["edgekit", "description"] = options.description
    if options.labels is not None:
        # Model API splits the list at spaces.
        entries["model_info", "labels"] = " ".join(label.replace(" ", "_") for label in options.labels)
    if options.preprocessing is not None:
        entries["edgekit", "preprocessing"] = json.dumps(vars(options.preprocessing))
    if options.calibration is not None:
        entries["edgekit", "calibration"] = json.dumps(vars(options.calibration))
    if options.preprocessing is not None and rendered.input.scale is None:
        entries |= _normalization(options.preprocessing)
    for spec in rendered.specs:
        entries |= _quantization(spec)
    for path, value in entries.items():
        model.set_rt_info(value, list(path))


def _normalization(preprocessing: Preprocessing) -> dict[tuple[str, ...], str]:
    return {
        ("model_info", "mean_values"): _in_pixels(preprocessing.mean),
        ("model_info", "scale_values"): _in_pixels(preprocessing.std),
    }


def _in_pixels(values: tuple[float, ...]) -> str:
    return " ".join(f"{_PIXEL_MAX * value:.9g}" for value in values)


def _quantization(spec: TensorSpec) -> dict[tuple[str, ...], str]:
    if spec.scale is None:
        return {}
    parameters = json.dumps({"scale": spec.scale, "zero_point": spec.zero_point})
    return {("edgekit", "quantization", spec.name): parameters}
