"""Static input shapes: batch 1, and a resolution where the file leaves height and width open."""

from __future__ import annotations

import onnx_ir as ir

from edgekit.errors import InputError, UnsupportedError

__all__ = ["fix_input_shapes"]


def fix_input_shapes(model: ir.Model, resolution: int | None = None) -> None:
    """Give every input a static shape with batch size 1, in place.

    Open dimensions of an image input (rank 4) other than the batch are ``resolution`` pixels. Raises
    :class:`InputError` when a dimension stays open and :class:`UnsupportedError` for a fixed batch.
    """
    if not model.graph.inputs:
        raise UnsupportedError("the model has no input")
    for value in model.graph.inputs:
        if value.dtype != ir.DataType.FLOAT:
            raise UnsupportedError(
                f"input {value.name!r} is {value.dtype}, expected float32",
                hint="export the model in float32, without preprocessing inside",
            )
        if value.shape is None or len(value.shape) == 0:
            raise UnsupportedError(
                f"input {value.name!r} has shape {value.shape}, expected a batch dimension"
            )
        value.shape = ir.Shape([1, *_static(value, resolution)])


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
