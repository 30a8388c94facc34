"""Fold multiplication and addition of per-channel constants into the layer before them.

Front ends write biases, learned scales and decomposed batch normalization as ``Mul``, ``Add``, ``Sub``
and ``Div`` by a constant.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from edgekit.graph.affine import ChannelAffine, Float64Array, absorb, absorbing_layer
from edgekit.graph.edit import replace_node
from edgekit.graph.values import Shape, array_of, shape_of

__all__ = ["fold_affine"]


def fold_affine(model: ir.Model) -> bool:
    """Absorb what is an affine map of each channel of a convolution's or classifier's output."""
    modified = False
    for node in list(model.graph):
        if node.op_type not in ("Add", "Sub", "Mul", "Div") or len(node.inputs) != 2:
            continue
        source = next((v for v in node.inputs if v is not None and v.const_value is None), None)
        layer = absorbing_layer(source) if source is not None else None
        if source is None or layer is None:
            continue
        affine = _affine(node, source)
        if affine is None:
            continue
        absorb(layer, affine)
        replace_node(node, source)
        modified = True
    return modified


def _affine(node: ir.Node, source: ir.Value) -> ChannelAffine | None:
    position = 0 if node.inputs[0] is source else 1
    operand = _per_channel(array_of(node.inputs[1 - position]), shape_of(source))
    if operand is None or shape_of(node.outputs[0]) != shape_of(source):
        return None
    ones, zeros = np.ones_like(operand), np.zeros_like(operand)
    if node.op_type == "Add":
        return ChannelAffine(ones, operand)
    if node.op_type == "Sub":
        return ChannelAffine(ones, -operand) if position == 0 else ChannelAffine(-ones, operand)
    if node.op_type == "Mul":
        return ChannelAffine(operand, zeros)
    if position == 1 or not operand.all():
        return None
    return ChannelAffine(1.0 / operand, zeros)


def _per_channel(constant: object, shape: Shape) -> Float64Array | None:
    """The constant as one number for each channel, or None if it varies along another axis."""
    if constant is None:
        return None
    array = np.asarray(constant, np.float64)
    if array.ndim > len(shape):
        return None
    dims = [1] * (len(shape) - array.ndim) + list(array.shape)
    if dims[1] != math.prod(dims):
        return None
    per_channel: Float64Array = np.broadcast_to(array.reshape(-1), (shape[1],)).copy()
    return per_channel
