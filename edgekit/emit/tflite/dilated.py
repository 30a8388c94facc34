"""Max pools of dilated windows, which TFLite does not have: maxima of strided slices.

A maximum over a window is one over its rows of those over its columns; along each axis the elements that
all windows hold at one place are a strided slice.
"""

from __future__ import annotations

from functools import reduce

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.lowering import Lowering
from edgekit.emit.tflite.padding import Side, Window
from edgekit.emit.tflite.program import Array

__all__ = ["lower_dilated_max"]


def lower_dilated_max(lowering: Lowering, node: ir.Node, source: int, window: Window) -> None:
    """Pad by the lowest number, then STRIDED_SLICE and MAXIMUM along width and height of an NHWC tensor."""
    padded = _pad_lowest(lowering, source, window)
    columns = _maximum(lowering, padded, 2, window.width)
    lowering.bind(node.outputs[0], _maximum(lowering, columns, 1, window.height))


def _maximum(lowering: Lowering, source: int, axis: int, side: Side) -> int:
    """The largest element of each window along one axis."""

    def larger(one: int, other: int) -> int:
        result = lowering.intermediate(_name(lowering, one), one)
        lowering.program.add_operator("MAXIMUM", [one, other], [result])
        return result

    return reduce(larger, [_slice(lowering, source, axis, side, place) for place in range(side.kernel)])


def _slice(lowering: Lowering, source: int, axis: int, side: Side, place: int) -> int:
    """What is at ``place`` of every window along ``axis``."""
    shape = list(lowering.program.tensors[source].shape)
    begin, end, step = [0] * 4, list(shape), [1] * 4
    begin[axis], step[axis] = place * side.dilation, side.stride
    end[axis] = begin[axis] + (side.output_size - 1) * side.stride + 1
    shape[axis] = side.output_size
    target = lowering.intermediate(_name(lowering, source), source, tuple(shape))
    bounds = [lowering.integers(*numbers) for numbers in (begin, end, step)]
    lowering.program.add_operator("STRIDED_SLICE", [source, *bounds], [target])
    return target


def _name(lowering: Lowering, source: int) -> str:
    return f"{lowering.program.tensors[source].name}.window"


def _pad_lowest(lowering: Lowering, source: int, window: Window) -> int:
    """``source`` padded by numbers that no maximum takes."""
    tensor = lowering.program.tensors[source]
    table = np.asarray([(0, 0), *window.explicit, (0, 0)], np.int32)
    if not table.any():
        return source
    shape = tuple(size + int(amount) for size, amount in zip(tensor.shape, table.sum(1), strict=True))
    padded = lowering.intermediate(f"{tensor.name}.pad", source, shape)
    quantization = tensor.quantization
    lowest = float(np.finfo(np.float32).min) if quantization is None else quantization.limits[0]
    fill: Array = np.asarray([lowest], tensor.dtype)
    operands = [
        lowering.constant("pad.window", table),
        lowering.program.add_constant("constant.lowest", fill, quantization),
    ]
    lowering.program.add_operator("PADV2", [source, *operands], [padded])
    return padded
