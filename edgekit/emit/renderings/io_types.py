"""Integer inputs and outputs of a quantized graph, and the names of its inputs and outputs.

With float32 I/O the file begins with ``QuantizeLinear`` and ends with ``DequantizeLinear``. With integer
I/O these two are left to the application, which reads scale and zero point from the file's metadata.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.errors import CheckError
from edgekit.graph import qdq
from edgekit.graph.values import add_initializer, array_of, only_reader, set_type, shape_of
from edgekit.options import IoType

__all__ = ["cast_input", "quantize_before", "set_input_type", "set_output_type"]

_DTYPES: dict[IoType, ir.DataType] = {"int8": ir.DataType.INT8, "uint8": ir.DataType.UINT8}


def set_input_type(model: ir.Model, dtype: IoType) -> qdq.QuantizedTensor | None:
    """Let the single input take ``dtype``; its scale and zero point, or None for float32.

    Raises CheckError when the input is not quantized by exactly one pair.
    """
    if dtype == "float32":
        return None
    old = model.graph.inputs[0]
    quantize = only_reader(old)
    if quantize is None or quantize.op_type != "QuantizeLinear":
        raise CheckError(f"input {old.name!r} is not quantized, so it cannot be {dtype}")
    params = _params(quantize, dtype)
    new = ir.val(old.name, _DTYPES[dtype], shape_of(old))
    model.graph.inputs[0] = new
    if quantize.outputs[0].dtype == _DTYPES[dtype]:
        ir.convenience.replace_all_uses_with(quantize.outputs[0], new)
        model.graph.remove(quantize, safe=True)
        return params
    widen = _linear(model.graph, "DequantizeLinear", new, params, f"{new.name}.widen")
    set_type(widen.outputs[0], shape_of(new), ir.DataType.FLOAT)
    quantize.replace_input_with(0, widen.outputs[0])
    model.graph.insert_before(quantize, widen)
    return params


def cast_input(model: ir.Model) -> IoType:
    """Let the single float32 input take the same numbers as uint8; returns that type."""
    old = model.graph.inputs[0]
    new = ir.val(old.name, ir.DataType.UINT8, shape_of(old))
    node = ir.node("Cast", [new], {"to": int(ir.DataType.FLOAT)}, name=f"{old.name}.cast")
    node.outputs[0].name = f"{old.name}.float"
    set_type(node.outputs[0], shape_of(old), ir.DataType.FLOAT)
    ir.convenience.replace_all_uses_with(old, node.outputs[0])
    model.graph.inputs[0] = new
    model.graph.insert_before(next(iter(model.graph)), node)
    return "uint8"


def set_output_type(model: ir.Model, dtype: IoType) -> qdq.QuantizedTensor | None:
    """Let the single output give ``dtype`` under the network's own output name.

    Returns its scale and zero point, or None for float32. Raises CheckError when it is not quantized.
    """
    final = model.graph.outputs[0]
    dequantize = final.producer()
    quantize = quantize_before(dequantize)
    if dequantize is None or quantize is None:
        if dtype == "float32":
            return None
        raise CheckError(f"output {final.name!r} is not quantized, so it cannot be {dtype}")
    name = (final.name or "").removesuffix(".dequantized")
    source = quantize.inputs[0]
    assert source is not None
    if source.name == name:
        source.name = f"{name}.float"
    if dtype == "float32":
        final.name = name
        return None
    final.name = f"{name}.dequantized"
    params = _params(dequantize, dtype)
    result = _integer_output(model.graph, dequantize, dtype, params)
    model.graph.outputs[0] = result
    result.name = name
    return params


def _integer_output(
    graph: ir.Graph, dequantize: ir.Node, dtype: IoType, params: qdq.QuantizedTensor
) -> ir.Value:
    stored = dequantize.inputs[0]
    assert stored is not None
    final = dequantize.outputs[0]
    if stored.dtype == _DTYPES[dtype]:
        set_type(stored, shape_of(final), _DTYPES[dtype])
        return stored
    narrow = _linear(graph, "QuantizeLinear", final, params, f"{final.name}.narrow")
    set_type(narrow.outputs[0], shape_of(final), _DTYPES[dtype])
    graph.insert_after(dequantize, narrow)
    return narrow.outputs[0]


def quantize_before(dequantize: ir.Node | None) -> ir.Node | None:
    """The ``QuantizeLinear`` of the pair, past an integer clamp if there is one."""
    if dequantize is None or dequantize.op_type != "DequantizeLinear" or dequantize.inputs[0] is None:
        return None
    node = dequantize.inputs[0].producer()
    if node is not None and node.op_type == "Clip" and node.inputs[0] is not None:
        node = node.inputs[0].producer()
    return node if node is not None and node.op_type == "QuantizeLinear" else None


def _params(node: ir.Node, dtype: IoType) -> qdq.QuantizedTensor:
    """The node's scale, and its zero point moved from the graph's integer type to ``dtype``."""
    scale, zero = array_of(node.inputs[1]), array_of(node.inputs[2])
    assert scale is not None
    assert zero is not None
    zero_point = int(zero) - _lowest(zero.dtype.name) + _lowest(dtype)
    return qdq.QuantizedTensor(scale.astype(np.float32), zero_point, _DTYPES[dtype])


def _lowest(dtype: str) -> int:
    return int(np.iinfo(dtype).min)


def _linear(
    graph: ir.Graph, op_type: str, source: ir.Value, params: qdq.QuantizedTensor, name: str
) -> ir.Node:
    scale = add_initializer(graph, f"{name}.scale", params.scale)
    zero = add_initializer(graph, f"{name}.zero_point", np.asarray(params.zero_point, params.dtype.numpy()))
    node = ir.node(op_type, [source, scale, zero], name=name)
    node.outputs[0].name = f"{name}.output"
    return node
