"""A file of a network for timing alone: the operators at their sizes, with weights that mean nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekit.building import build_graph
from edgekit.emit import EmitOptions, emit
from edgekit.models.network import Network
from edgekit.options import ExportOptions, Format, Precision, ScaleChange
from edgekit.quantize import QuantizeOptions, observe, quantize

__all__ = ["make_trial"]

_SUFFIXES: dict[Format, str] = {"tflite": ".tflite", "onnx": ".onnx", "openvino": ".xml"}
_QUICK = QuantizeOptions(ranges="minmax", rounding="nearest", bias_correction=False)


def make_trial(network: Network, format_: Format, precision: Precision, folder: Path) -> Path:
    """Write ``network`` with random weights, int8 calibrated on one random image, and return the file.

    How long it takes to run depends on neither. Raises MissingExtraError without torch.
    """
    built = build_graph(
        network.name, ExportOptions(weights="random", scale=ScaleChange(**vars(network.scale)))
    )
    graph = built.graph
    if precision == "int8":
        image = np.random.default_rng(0).standard_normal((1, *network.input_shape)).astype(np.float32)
        graph = quantize(graph, observe(graph, [image]), _QUICK).model
    path = folder / f"{network.name}_{precision}{_SUFFIXES[format_]}"
    options = EmitOptions(
        precision=precision,
        input_type=None,
        output_type=None,
        name=network.name,
        preprocessing=built.preprocessing,
        labels=None,
        description="",
    )
    emit(graph, path, format_, options)
    return path
