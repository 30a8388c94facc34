"""Files in half precision are read as float32, which holds each of their numbers."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.graph.values import array_of, set_type

__all__ = ["widen_halves"]

_HALVES = frozenset({ir.DataType.FLOAT16, ir.DataType.BFLOAT16})


def widen_halves(model: ir.Model) -> bool:
    """Turn inputs, constants and casts of float16 and bfloat16 into those of float32, in place."""
    graph = model.graph
    modified = False
    for value in graph.inputs:
        if value.dtype in _HALVES:
            value.type = ir.TensorType(ir.DataType.FLOAT)
            modified = True
    for name, value in graph.initializers.items():
        array = array_of(value)
        if array is not None and value.dtype in _HALVES:
            value.const_value = ir.Tensor(array.astype(np.float32), name=name)
            set_type(value, array.shape, ir.DataType.FLOAT)
            modified = True
    for node in graph:
        modified |= _widen_attributes(node)
    return modified


def _widen_attributes(node: ir.Node) -> bool:
    """Type of a ``Cast``, number of a ``Constant`` or ``ConstantOfShape``."""
    if node.op_type == "Cast" and node.attributes.get_int("to", 0) in _HALVES:
        node.attributes.add(ir.AttrInt64("to", int(ir.DataType.FLOAT)))
        return True
    if node.op_type not in ("Constant", "ConstantOfShape") or "value" not in node.attributes:
        return False
    tensor = node.attributes["value"].as_tensor()
    if tensor.dtype not in _HALVES:
        return False
    node.attributes.add(ir.AttrTensor("value", ir.Tensor(tensor.numpy().astype(np.float32))))
    return True
