"""``ConvTranspose`` → TRANSPOSE_CONV, and a SLICE where its padding is neither of TFLite's."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.activation import absorb_activation
from edgekit.emit.tflite.lowering import Lowering, attribute_ints, name_of
from edgekit.emit.tflite.padding import Side
from edgekit.emit.tflite.program import Array
from edgekit.emit.tflite.schema import schema
from edgekit.emit.tflite.weights import lower_bias, lower_weight
from edgekit.errors import UnsupportedError
from edgekit.graph.values import shape_of

__all__ = ["lower_conv_transpose"]


def _ohwi(weights: Array) -> Array:
    return np.ascontiguousarray(weights.transpose(1, 2, 3, 0))


def _sides(node: ir.Node) -> list[Side]:
    """Height and width, as of the convolution that this one reverses: its input is our output."""
    size_in, size_out = (shape_of(value)[2:] for value in (node.inputs[0], node.outputs[0]))
    kernel, strides, pads = (
        attribute_ints(node, name, (1, 1) * count)
        for name, count in (("kernel_shape", 1), ("strides", 1), ("pads", 2))
    )
    return [Side(kernel[i], strides[i], 1, pads[i], size_out[i], size_in[i]) for i in range(2)]


def _scheme(sides: list[Side]) -> int | None:
    """TFLite's padding code, or None when the result has to be cut out of a larger one."""
    if all(side.before == 0 and side.reach <= side.input_size for side in sides):
        return int(schema.Padding.VALID)
    if all(side.is_same and side.reach >= side.input_size for side in sides):
        return int(schema.Padding.SAME)
    return None


def lower_conv_transpose(lowering: Lowering, node: ir.Node) -> None:
    """One transposed convolution with its bias and fused activation."""
    if node.attributes.get_int("group", 1) != 1 or set(attribute_ints(node, "dilations", (1, 1))) != {1}:
        raise UnsupportedError(
            f"node {node.name!r} (ConvTranspose): a canonical one has neither groups nor dilation"
        )
    sides, program = _sides(node), lowering.program
    source = lowering.operand(node.inputs[0])
    weight = lower_weight(lowering, node, node.inputs[1], _ohwi, axis=0, has_hybrid=False)
    bias = lower_bias(lowering, node, node.inputs[2])
    fused, value = absorb_activation(lowering, node.outputs[0])
    scheme = _scheme(sides)
    batch, channels, *made = shape_of(value)
    whole = (
        made
        if scheme is not None
        else [side.before + max(side.input_size, side.reach - side.before) for side in sides]
    )
    shape = (batch, *whole, channels)
    target = lowering.result(value)
    result = target if scheme is not None else lowering.intermediate(f"{name_of(node)}.whole", target, shape)
    program.add_operator(
        "TRANSPOSE_CONV",
        [lowering.integers(*shape), weight, source, bias],
        [result],
        padding=int(schema.Padding.VALID) if scheme is None else scheme,
        strideH=sides[0].stride,
        strideW=sides[1].stride,
        fusedActivationFunction=fused,
    )
    if scheme is None:
        begin = lowering.integers(0, sides[0].before, sides[1].before, 0)
        size = lowering.integers(batch, *made, channels)
        program.add_operator("SLICE", [result, begin, size], [target])
