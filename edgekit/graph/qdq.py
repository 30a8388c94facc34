"""Quantization parameters as ``QuantizeLinear``/``DequantizeLinear`` in the graph, the one truth.

The convention, by example of one quantized convolution with a fused ReLU6::

    x ─ QuantizeLinear(s, z) ─ DequantizeLinear(s, z) ─┐
    weight int8[O,I,H,W] ─ DequantizeLinear(axis=0, s[O]) ─ Conv ─ Clip ─ QuantizeLinear ─ …
    bias int32[O] ─ DequantizeLinear(axis=0, s_x·s_w[O]) ─┘

- Activations: int8, per tensor, scalar float32 scale and scalar int8 zero point. One Q and one DQ
  for each quantized value; every consumer reads the DQ's output. The input has its pair first,
  the graph's output is the output of a DQ.
- Weights: int8 initializer in [-127, 127], zero point 0, one scale per output channel
  (``axis=0`` for ``Conv`` OIHW and ``Gemm`` ``[out, in]``).
- Bias: int32 initializer, zero point 0, scale = input scale × weight scale, ``axis=0``.
- No pair stands between a layer and the ``Relu``/``Clip`` that is fused into it.
- Initializers of a dequantized constant carry no float twin: the integers are all there is.
- A layer may be left float, and is marked so: its weights are float initializers, it reads DQs or float
  values, and a pair stands on its output for those of its readers that are integer layers. Float layers
  that touch have no pair between them. The graph's input and output have their pair whatever reads and
  writes them.
- A layer with int16 activations (TFLite's 16x8) has pairs of int16 with zero point 0, and int8 weights;
  where int8 and int16 layers meet, one pair follows the other. Such a graph is of opset 21, the first
  whose pairs hold int16.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

__all__ = [
    "QuantizedTensor",
    "constant",
    "dequantized_constant",
    "dequantized_from",
    "insert_activation_pair",
    "insert_constant",
    "is_float",
    "mark_float",
    "scalar_params",
]

FloatArray = npt.NDArray[np.float32]

_FLOAT_MARK = "edgekit.float"


@dataclass(frozen=True)
class QuantizedTensor:
    """Parameters of one quantized value: real = (integer - zero_point) * scale.

    ``scale`` is float32, shape ``[]`` per tensor or ``[channels]`` along ``axis``;
    ``zero_point`` is one integer for the whole tensor; ``values`` are the integers of a constant.
    """

    scale: FloatArray
    zero_point: int
    dtype: ir.DataType
    axis: int | None = None
    values: npt.NDArray[np.int8] | npt.NDArray[np.int32] | None = None


def constant(value: ir.Value | None) -> npt.NDArray[np.generic] | None:
    """The array of an initializer, or None for a value that is computed or absent."""
    if value is None or value.const_value is None:
        return None
    return value.const_value.numpy()


def _read(node: ir.Node) -> QuantizedTensor:
    scale = constant(node.inputs[1])
    assert scale is not None, "quantization scales are initializers"
    zero = constant(node.inputs[2]) if len(node.inputs) > 2 else None
    values = constant(node.inputs[0])
    source = node.inputs[0] if node.op_type == "DequantizeLinear" else node.outputs[0]
    dtype = source.dtype if source is not None and source.dtype is not None else ir.DataType.INT8
    axis = node.attributes.get_int("axis", 1) if scale.ndim else None
    return QuantizedTensor(
        scale=scale.astype(np.float32),
        zero_point=0 if zero is None else int(zero.reshape(-1)[0]),
        dtype=dtype,
        axis=axis,
        values=None if values is None else values,  # type: ignore[arg-type]  # dtype is in `dtype`
    )


def dequantized_from(value: ir.Value | None) -> QuantizedTensor | None:
    """Parameters of an activation that a ``DequantizeLinear`` produced, else None."""
    node = value.producer() if value is not None else None
    if node is None or node.op_type != "DequantizeLinear" or constant(node.inputs[0]) is not None:
        return None
    return _read(node)


def dequantized_constant(value: ir.Value | None) -> QuantizedTensor | None:
    """Integers and parameters of a constant behind a ``DequantizeLinear``, else None."""
    node = value.producer() if value is not None else None
    if node is None or node.op_type != "DequantizeLinear" or constant(node.inputs[0]) is None:
        return None
    return _read(node)


def mark_float(node: ir.Node) -> None:
    """Note that a node of a quantized graph computes in float32, whatever pairs are around it."""
    node.metadata_props[_FLOAT_MARK] = "true"


def is_float(node: ir.Node) -> bool:
    """Whether the node of a quantized graph was left float."""
    return _FLOAT_MARK in node.metadata_props


def scalar_params(scale: float, zero_point: int, dtype: ir.DataType = ir.DataType.INT8) -> QuantizedTensor:
    """Per-tensor parameters of an activation."""
    return QuantizedTensor(np.asarray(scale, np.float32), zero_point, dtype)


def _initializer(graph: ir.Graph, name: str, array: npt.NDArray[np.generic]) -> ir.Value:
    value = ir.val(name, const_value=ir.tensor(array, name=name))
    graph.register_initializer(value)
    return value


def insert_activation_pair(
    graph: ir.Graph,
    value: ir.Value,
    params: QuantizedTensor,
    readers: Collection[ir.Node] | None = None,
    name: str = "",
) -> ir.Value:
    """Quantize ``value``: every reader, the graph's output included, reads the new DQ.

    With ``readers``, only those nodes do, and the others keep reading the value as it was. ``name`` is
    what the pair is called after, by default the value. A graph output keeps its name (``logits``), and
    what it was computed as takes its node's, or one that is free.
    """
    output = value.name or ""
    pair = _pair(graph, value, params, name or output)
    result = pair[1].outputs[0]
    if readers is not None:
        _redirect(value, result, readers)
    else:
        ir.convenience.replace_all_uses_with(value, result, replace_graph_outputs=True)
        pair[0].replace_input_with(0, value)
    producer = value.producer()
    if producer is None:
        graph.insert_before(next(iter(graph)), pair)
        return result
    graph.insert_after(producer, pair)
    if result.is_graph_output():
        value.name, result.name = _free_name(graph, producer.name or "", output), output
    return result


def _pair(graph: ir.Graph, value: ir.Value, params: QuantizedTensor, name: str) -> tuple[ir.Node, ir.Node]:
    scale = _initializer(graph, f"{name}.scale", params.scale)
    zero = _initializer(graph, f"{name}.zero_point", np.asarray(params.zero_point, params.dtype.numpy()))
    quantize = ir.node("QuantizeLinear", [value, scale, zero], name=f"{name}.quantize")
    dequantize = ir.node("DequantizeLinear", [quantize.outputs[0], scale, zero], name=f"{name}.dequantize")
    for node, suffix, dtype in (
        (quantize, "quantized", params.dtype),
        (dequantize, "dequantized", ir.DataType.FLOAT),
    ):
        node.outputs[0].name = f"{name}.{suffix}"
        node.outputs[0].shape = value.shape
        node.outputs[0].type = ir.TensorType(dtype)
    return quantize, dequantize


def _redirect(value: ir.Value, result: ir.Value, readers: Collection[ir.Node]) -> None:
    for use in list(value.uses()):
        if use.node in readers:
            use.node.replace_input_with(use.idx, result)


def _free_name(graph: ir.Graph, wanted: str, output: str) -> str:
    """``wanted``, or a name made from it where the output or another value has that one."""
    taken = {value.name for node in graph for value in node.outputs} | set(graph.initializers) | {output}
    taken |= {value.name for value in graph.inputs}
    candidates = itertools.chain(
        [wanted, f"{output}.float"], (f"{output}.float{i}" for i in itertools.count(2))
    )
    return next(name for name in candidates if name and name not in taken)


def insert_constant(graph: ir.Graph, reader: ir.Node, index: int, params: QuantizedTensor) -> ir.Value:
    """Replace the reader's constant input by ``params.values`` behind a ``DequantizeLinear``."""
    old = reader.inputs[index]
    assert old is not None
    assert old.name is not None
    assert params.values is not None
    name = old.name
    integers = _initializer(graph, f"{name}.quantized", params.values)
    scale = _initializer(graph, f"{name}.scale", params.scale)
    zero = _initializer(graph, f"{name}.zero_point", np.zeros(params.scale.shape, params.values.dtype))
    attributes = {} if params.axis is None else {"axis": params.axis}
    node = ir.node("DequantizeLinear", [integers, scale, zero], attributes, name=f"{name}.dequantize")
    node.outputs[0].name = f"{name}.dequantized"
    node.outputs[0].shape = old.shape
    node.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
    graph.insert_before(reader, [node])
    reader.replace_input_with(index, node.outputs[0])
    if not old.uses():
        graph.initializers.pop(name)
    return node.outputs[0]
