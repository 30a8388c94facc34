"""Activations as uint8: the same integers plus 128, with the zero point moved along.

VNNI multiplies unsigned by signed bytes, so x86 kernels want uint8 activations and int8 weights
(U8S8); onnxruntime's Arm kernels take int8 for both (S8S8) as readily.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.graph.ops import is_weighted
from edgekit.graph.values import add_initializer, array_of

__all__ = ["shift_to_uint8"]

_SHIFT = 128


def shift_to_uint8(model: ir.Model) -> bool:
    """Turn every int8 activation, and constants that meet activations elementwise, into uint8."""
    shifted: dict[int, ir.Value] = {}
    modified = False
    for node in list(model.graph):
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear") or _is_weight(node):
            continue
        zero = array_of(node.inputs[2])
        assert zero is not None
        if zero.dtype != np.int8 or zero.ndim:
            continue
        _shift_zero_point(model.graph, node, int(zero), shifted)
        _shift_values(model.graph, node)
        modified = True
    return modified


def _is_weight(node: ir.Node) -> bool:
    """A constant that a layer multiplies by or adds as its bias: integers stay as they are."""
    if array_of(node.inputs[0]) is None:
        return False
    return any(is_weighted(use.node) for use in node.outputs[0].uses())


def _shift_zero_point(graph: ir.Graph, node: ir.Node, zero: int, shifted: dict[int, ir.Value]) -> None:
    if zero not in shifted:
        value = np.asarray(zero + _SHIFT, np.uint8)
        shifted[zero] = add_initializer(graph, f"zero_point.{zero + _SHIFT}", value)
    node.replace_input_with(2, shifted[zero])


def _shift_values(graph: ir.Graph, node: ir.Node) -> None:
    source = node.inputs[0]
    if node.op_type == "QuantizeLinear":
        source = node.outputs[0]
    assert source is not None
    integers = array_of(source)
    if integers is not None:
        moved = (integers.astype(np.int16) + _SHIFT).astype(np.uint8)
        node.replace_input_with(0, add_initializer(graph, f"{source.name}.uint8", moved))
        return
    source.type = ir.TensorType(ir.DataType.UINT8)
