"""What every emitter takes and returns.

An emitter is a function ``emit(model, path, options) -> Emitted``. It writes one file (OpenVINO: two)
whole or not at all, and raises :class:`~edgekit.errors.UnsupportedError` for what the format cannot
express and :class:`~edgekit.errors.CheckError` when the file would not be what was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias, Union

import onnx_ir as ir

from edgekit.options import CalibrationSet, Format, IoType, Precision, Preprocessing, TensorSpec

__all__ = ["JSON", "EmitOptions", "Emitted", "Emitter", "OnnxOptions"]

# Union because the alias is recursive: quoted members cannot be joined by | at run time.
JSON: TypeAlias = Union[bool, int, float, str, "list[JSON]", "dict[str, JSON]", None]


@dataclass(frozen=True)
class OnnxOptions:
    """What only ONNX files choose.

    ``activation_type`` is how an int8 file writes its activations: ``"uint8"`` (zero points + 128) is
    what onnxruntime's x86 kernels run, ``"int8"`` suits Arm and falls back to float on x86.
    """

    activation_type: Literal["uint8", "int8"] = "uint8"


@dataclass(frozen=True)
class EmitOptions:
    """How one graph becomes one file.

    ``precision`` ``"int8"`` expects a quantized graph (:mod:`edgekit.graph.qdq`); the others expect the
    fp32 canonical graph. ``input_type`` and ``output_type`` are what the application feeds and reads;
    ``None`` is the format's own default. ``takes_pixels`` lets a float file take the numbers 0 to 255 as
    uint8. ``preprocessing``, ``labels``, ``description`` and the images of ``calibration`` go into the file's
    metadata where the format has a place for them.
    """

    precision: Precision = "fp32"
    input_type: IoType | None = None
    output_type: IoType | None = None
    takes_pixels: bool = False
    name: str = "model"
    preprocessing: Preprocessing | None = None
    labels: tuple[str, ...] | None = None
    description: str = ""
    calibration: CalibrationSet | None = None
    onnx: OnnxOptions = OnnxOptions()


@dataclass(frozen=True)
class Emitted:
    """One file that was written, with what an application has to know to feed and read it.

    ``dtypes`` counts the file's tensors by dtype (``{"int8": 120, "int32": 53, "float32": 0}``);
    ``details`` holds what only this format has, such as operator counts or the opset.
    """

    path: Path
    format: Format
    precision: Precision
    size_bytes: int
    sha256: str
    input: TensorSpec
    output: TensorSpec
    dtypes: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, JSON] = field(default_factory=dict)
    more_inputs: tuple[TensorSpec, ...] = ()
    more_outputs: tuple[TensorSpec, ...] = ()

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """All inputs; most networks have the one."""
        return (self.input, *self.more_inputs)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        """All outputs; most networks have the one."""
        return (self.output, *self.more_outputs)


Emitter: TypeAlias = Callable[[ir.Model, Path, EmitOptions], Emitted]
