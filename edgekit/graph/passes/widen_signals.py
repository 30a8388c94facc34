"""Write convolutions and pools of signals, ``[N, C, L]``, as those of images of height 1."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.errors import UnsupportedError
from edgekit.graph.edit import add_before, constant_before, replace_node
from edgekit.graph.values import AttributeValue, array_of, required, shape_of

__all__ = ["widen_signals"]

_WINDOWED = ("Conv", "ConvTranspose", "MaxPool", "AveragePool")
_GLOBAL = ("GlobalAveragePool", "GlobalMaxPool")
_SPREAD = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 0}


def widen_signals(model: ir.Model) -> bool:
    """Give each such node an image; refuses more than two spatial dimensions by name."""
    modified = False
    for node in list(model.graph):
        if node.op_type not in (*_WINDOWED, *_GLOBAL):
            continue
        rank = len(shape_of(required(node, 0)))
        if rank > 4:
            raise UnsupportedError(
                f"node {node.name!r} ({node.op_type}) slides over {rank - 2} dimensions, expected one or two"
            )
        if rank == 3:
            replace_node(node, _widened(node))
            modified = True
    return modified


def _widened(node: ir.Node) -> ir.Value:
    batch, channels, length = shape_of(required(node, 0))
    inputs = [_reshaped(node, required(node, 0), (batch, channels, 1, length)), *node.inputs[1:]]
    if node.op_type in ("Conv", "ConvTranspose"):
        weight = array_of(required(node, 1))
        if weight is None:
            raise UnsupportedError(f"node {node.name!r} ({node.op_type}): the weight must be a constant")
        inputs[1] = constant_before(node, "weight", np.expand_dims(weight, 2))
    result = add_before(node, node.op_type, inputs, _attributes(node))
    return _reshaped(node, result, shape_of(node.outputs[0]))


def _attributes(node: ir.Node) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {}
    for name, attribute in node.attributes.items():
        if name in _SPREAD:
            found[name] = [_SPREAD[name], *attribute.as_ints()]
        elif name == "pads":
            begin, end = attribute.as_ints()
            found[name] = [0, begin, 0, end]
        else:
            found[name] = attribute.value
    return found


def _reshaped(node: ir.Node, value: ir.Value, shape: tuple[int, ...]) -> ir.Value:
    return add_before(node, "Reshape", [value, constant_before(node, "shape", np.array(shape, np.int64))])
