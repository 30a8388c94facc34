"""Options and small records shared by the command line, the TOML files and the Python API.

Frozen dataclasses of plain values; change one with :func:`dataclasses.replace`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

__all__ = [
    "CALIBRATED",
    "FORMATS",
    "INTEGER",
    "IO_TYPES",
    "PRECISIONS",
    "SUFFIXES",
    "CalibrationSet",
    "Effort",
    "ElementType",
    "ExportOptions",
    "Format",
    "IoType",
    "Layout",
    "Precision",
    "Preprocessing",
    "RangeMethod",
    "Ranges",
    "Scale",
    "ScaleChange",
    "TensorSpec",
]

Format = Literal["tflite", "onnx", "openvino"]
Precision = Literal["fp32", "fp16", "int8", "dynamic", "weight-only", "int16"]
IoType = Literal["float32", "int8", "uint8"]
Effort = Literal["default", "high"]
RangeMethod = Literal["minmax", "mse", "percentile", "entropy"]
Ranges = Literal[RangeMethod, "auto"]
ElementType = Literal["float32", "int8", "uint8", "int64"]
Layout = Literal["NCHW", "NHWC", "NC"]

FORMATS: tuple[Format, ...] = ("tflite", "onnx", "openvino")
SUFFIXES: dict[Format, str] = {"tflite": ".tflite", "onnx": ".onnx", "openvino": ".xml"}
"""Of the file that is loaded; beside an ``.xml`` lies its ``.bin``."""
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8", "dynamic", "weight-only", "int16")
"""``dynamic`` has int8 weights and activations that are quantized at run time where a format can;
``weight-only`` int8 weights, computed in float32; ``int16`` int8 weights and int16 activations."""
INTEGER: tuple[Precision, ...] = ("int8", "int16")
"""Precisions of which activations are integers."""
CALIBRATED: tuple[Precision, ...] = (*INTEGER, "weight-only")
"""Precisions that images decide about."""

IO_TYPES: tuple[IoType, ...] = ("float32", "int8", "uint8")


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
class ScaleChange:
    """Fields of :class:`Scale` that the user sets; ``None`` keeps the model's own value.

    ``inputs`` are shapes without the batch, ``((3, 224, 224),)``, one for each input of the user's own module
    or file.
    """

    width: float | None = None
    depth: float | None = None
    resolution: int | None = None
    num_classes: int | None = None
    in_channels: int | None = None
    inputs: tuple[tuple[int, ...], ...] | None = None

    def apply(self, scale: Scale) -> Scale:
        """``scale`` with the fields that are set; a scale has no ``inputs``."""
        given = {name: value for name, value in vars(self).items() if value is not None and name != "inputs"}
        return replace(scale, **given)


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

    ``scale`` and ``zero_point`` are set exactly when ``dtype`` is int8 or uint8:
    real = (integer - zero_point) * scale. int64 are indices. ``layout`` is that of images and rows;
    tensors of other ranks are in the network's own order.
    """

    name: str
    shape: tuple[int, ...]
    layout: Layout
    dtype: ElementType
    scale: float | None = None
    zero_point: int | None = None
    normalization: Literal["external", "embedded"] | None = None


@dataclass(frozen=True)
class CalibrationSet:
    """Which images calibrated a file, so that it can be made again.

    ``name`` is the folder's, the recipe's or the generator's, ``images`` how many were used, chosen or drawn
    by ``seed``. ``sha256`` is the hash of the files' SHA-256 in hexadecimal, sorted, one a line; ``None`` for
    generated images, which name and seed determine.
    """

    kind: Literal["folder", "recipe", "generated", "distilled"]
    name: str
    images: int
    seed: int
    sha256: str | None = None


@dataclass(frozen=True)
class ExportOptions:
    """How :func:`edgekit.export` makes files of a model; the fields are the flags of ``edgekit export``.

    ``target`` is a format (``tflite`` or its alias ``litert``, ``onnx``, ``openvino``, ``all``) or a
    target's name; ``precision`` ``None`` takes the one that the target prefers. ``out_dir`` is created
    when it is missing. ``scale`` applies to models of the zoo.

    ``weights`` is ``"imagenet"``, ``"random"`` (drawn from ``seed``), a file, ``"hf://OWNER/REPO"`` on the
    Hugging Face hub, or ``"auto"``: the ImageNet weights of an installed package if the model has one, else
    random ones, which is said aloud.

    int8, int16 and weight-only calibrate: ``calibration`` is a folder of images or the name of a recipe,
    ``None`` the generated images that need no data; at most ``samples`` images are used, chosen by ``seed``.

    ``input_type`` and ``output_type`` are what the application feeds and reads, ``None`` the format's
    own default. With ``max_drop`` the export fails with CheckError when top-1 on the labelled images in
    ``data`` falls by more than so many percentage points from the fp32 network to a file. An int8 export
    first keeps as few layers float as reach it, and says what they cost: measured here, or, without
    ``time_plan``, by their share of the multiply-adds alone.

    ``per_tensor_weights`` gives each tensor of weights one scale, as targets that demand it do by themselves;
    ``reduce_range`` keeps weights within ±64 for kernels that add any two of their products in 16 bits.

    ``ranges`` is how activation ranges are chosen from what calibration saw; ``"auto"`` tries each method on
    some of the images and takes the one whose logits come nearest to the fp32 network's.
    ``effort`` ``"high"`` spends minutes, and torch, on int8 weights, biases and steps that are learned.
    ``skip_stages`` switches stages of the quantizer off, by the names that ``edgekit stages`` prints.

    ``keep_float`` and ``keep_int16`` name layers of an int8 export that stay float, or take int16
    activations (TFLite only): names as ``edgekit describe`` shows them, or patterns with ``*`` and ``?``.

    ``embed_preprocessing`` makes files that normalize by themselves: they take the cropped image as uint8,
    0 to 255, in every format and precision but int16.

    A file that breaks a limit of the target is refused, or with ``force`` made with a warning.
    """

    target: str = "tflite"
    precision: Precision | None = None
    out_dir: Path = Path()
    scale: ScaleChange = ScaleChange()
    weights: str = "auto"
    seed: int = 0
    calibration: str | Path | None = None
    samples: int = 100
    input_type: IoType | None = None
    output_type: IoType | None = None
    embed_preprocessing: bool = False
    max_drop: float | None = None
    data: Path | None = None
    keep_float: tuple[str, ...] = ()
    keep_int16: tuple[str, ...] = ()
    time_plan: bool = True
    per_tensor_weights: bool = False
    reduce_range: bool = False
    ranges: Ranges = "percentile"
    effort: Effort = "default"
    skip_stages: tuple[str, ...] = ()
    force: bool = False
