"""An int8 file of every family of the zoo, small enough for emulators and interpreters."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx_ir as ir
import torch

from edgekit.capture import capture
from edgekit.emit import EmitOptions, emit
from edgekit.errors import InputError
from edgekit.models import zoo
from edgekit.models.module import build
from edgekit.options import Format, Precision
from edgekit.quantize import QuantizeOptions, observe, quantize

__all__ = ["FAMILIES", "SIDES", "family_file", "network_file"]

FAMILIES = zoo.families()
SIDES = (32, 80)
"""Height and width in pixels: what most networks take, and what the others do."""

_SUFFIXES: dict[Format, str] = {"tflite": "tflite", "onnx": "onnx", "openvino": "xml"}
_PLAIN = QuantizeOptions(rounding="nearest", bias_correction=False)


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="edgekit-tests-")  # removed when the interpreter ends


@cache
def _network_model(name: str, width: float, side: int, precision: Precision, num_classes: int) -> ir.Model:
    """With seeded weights, calibrated on noise where it is int8."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = zoo.network(name, width=width, resolution=side, num_classes=num_classes)
    shape = (1, network.scale.in_channels, side, side)
    model = capture(build(network).eval(), shape)
    if precision != "int8":
        return model
    noise = np.random.default_rng(0).standard_normal((2, *shape)).astype(np.float32)
    return quantize(model, observe(model, list(noise)), _PLAIN).model


@cache
def network_file(
    name: str,
    width: float = 0.25,
    side: int = SIDES[0],
    precision: Precision = "int8",
    format_: Format = "tflite",
    num_classes: int = 10,
) -> Path:
    """A network of the zoo with weights that mean nothing."""
    model = _network_model(name, width, side, precision, num_classes)
    path = Path(_folder().name, f"{name}_{width:g}_{side}_{precision}.{_SUFFIXES[format_]}")
    emit(model, path, format_, EmitOptions(precision))
    return path


def family_file(family: str, format_: Format = "tflite") -> Path:
    """The first network of a family, narrow, at the smallest of :data:`SIDES` that it takes, in int8."""
    name = zoo.names(family)[0]
    for side in SIDES[:-1]:
        try:
            return network_file(name, side=side, format_=format_)
        except InputError:  # too small for its strides
            continue
    return network_file(name, side=SIDES[-1], format_=format_)
