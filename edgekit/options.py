"""Options and small records shared by the command line, the TOML files and the Python API.

Frozen dataclasses of plain values; change one with :func:`dataclasses.replace`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "FORMATS",
    "PRECISIONS",
    "Format",
    "IoType",
    "Layout",
    "Precision",
    "Preprocessing",
    "Scale",
    "TensorSpec",
]

Format = Literal["tflite", "onnx", "openvino"]
Precision = Literal["fp32", "fp16", "int8", "dynamic"]
IoType = Literal["float32", "int8", "uint8"]
Layout = Literal["NCHW", "NHWC", "NC"]

FORMATS: tuple[Format, ...] = ("tflite", "onnx", "openvino")
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8", "dynamic")


@dataclass(frozen=True)
class Scale:
    """How a family's table is scaled into one network.

    ``width`` multiplies channels, ``depth`` multiplies block repeats, ``resolution`` is the input's
    height and width in pixels.
    """

    width: float = 1.0
    depth: float = 1.0
    resolution: int = 224
    num_classes: int = 1000
    in_channels: int = 3


@dataclass(frozen=True)
class Preprocessing:
    """How an image file becomes the network's input.

    Resize so that the short side has ``resize_short_side`` pixels, cut the central
    ``crop`` × ``crop``, read RGB bytes, then ``(pixel / 255 - mean) / std`` per channel.
    """

    resize_short_side: int = 256
    resize_filter: Literal["bilinear", "bicubic"] = "bicubic"
    crop: int = 224
    color: Literal["RGB", "L"] = "RGB"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class TensorSpec:
    """An input or output of an artifact, as an application has to feed or read it.

    ``scale`` and ``zero_point`` are set exactly when ``dtype`` is an integer type:
    real = (integer - zero_point) * scale.
    """

    name: str
    shape: tuple[int, ...]
    layout: Layout
    dtype: IoType
    scale: float | None = None
    zero_point: int | None = None
    normalization: Literal["external", "embedded"] | None = None
