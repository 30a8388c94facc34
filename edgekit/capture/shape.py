"""Static input shapes: batch 1, and a resolution where the file leaves height and width open."""

from __future__ import annotations

import math
from collections.abc import Sequence

import onnx_ir as ir

from edgekit.errors import InputError, UnsupportedError

__all__ = ["fix_input_shapes"]

_MOST_ELEMENTS = 2**31 - 1


def fix_input_shapes(
    model: ir.Model, resolution: int | None = None, inputs: Sequence[Sequence[int]] | None = None
) -> None:
    """Give every input a static shape with batch size 1, in place.

    Open dimensions of an image input (rank 4) other than the batch are ``resolution`` pixels, or all those
    of input ``i`` behind the batch ``inputs[i]``. Raises
    :class:`InputError` when a dimension stays open and :class:`UnsupportedError` for a fixed batch.
    """
    if not model.graph.inputs:
        raise UnsupportedError("the model has no input")
    if inputs is not None and len(inputs) != len(model.graph.inputs):
        raise InputError(
            f"{len(inputs)} input shapes were given, the model has {len(model.graph.inputs)} inputs"
        )
    for index, value in enumerate(model.graph.inputs):
        if value.dtype != ir.DataType.FLOAT:
            raise UnsupportedError(
                f"input {value.name!r} is {value.dtype}, expected float32",
                hint="export the model in float32, without preprocessing inside",
            )
        if value.shape is None or len(value.shape) == 0:
            raise UnsupportedError(
                f"input {value.name!r} has shape {value.shape}, expected a batch dimension"
            )
        rest = _static(value, resolution) if inputs is None else _given(value, inputs[index])
        if math.prod(rest) > _MOST_ELEMENTS:
            raise UnsupportedError(
                f"input {value.name!r} has shape {value.shape}, more numbers than fit a tensor"
            )
        value.shape = ir.Shape([1, *rest])


def _given(value: ir.Value, wanted: Sequence[int]) -> list[int]:
    """The shape that was asked for, where the file leaves it open or agrees."""
    assert value.shape is not None
    rest = list(value.shape)[1:]
    fits = len(rest) == len(wanted) and min(wanted, default=1) > 0
    if not fits or any(isinstance(d, int) and d > 0 and d != w for d, w in zip(rest, wanted, strict=True)):
        raise InputError(f"input {value.name!r} has shape {value.shape}, which {list(wanted)} does not fit")
    return [int(size) for size in wanted]


def _static(value: ir.Value, resolution: int | None) -> list[int]:
    """All dimensions after the batch."""
    assert value.shape is not None
    batch, *rest = value.shape
    if isinstance(batch, int) and batch not in (0, 1, -1):
        raise UnsupportedError(
            f"input {value.name!r} has a fixed batch of {batch}",
            hint="export the model with batch size 1 or a dynamic batch dimension",
        )
    return [_dimension(value, axis, dim, resolution) for axis, dim in enumerate(rest, 1)]


def _dimension(value: ir.Value, axis: int, dim: int | ir.SymbolicDim, resolution: int | None) -> int:
    if isinstance(dim, int) and dim > 0:
        return dim
    is_spatial = value.shape is not None and len(value.shape) == 4 and axis in (2, 3)
    if is_spatial and resolution is not None:
        return resolution
    raise InputError(
        f"dimension {axis} of input {value.name!r} is open: {value.shape}",
        hint="give the image size with --resolution"
        if is_spatial
        else "export the model with a static input shape",
    )
