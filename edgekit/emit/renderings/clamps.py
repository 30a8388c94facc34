"""ReLU and ReLU6 in a quantized graph: what the quantized range already says needs no operator.

onnxruntime fuses ``DequantizeLinear → Conv → QuantizeLinear`` into ``QLinearConv`` only when nothing
stands in between, and saturation of the quantized type is a clamp that costs nothing.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from edgekit.graph.edit import replace_node
from edgekit.graph.ops import infer_types, is_fusable
from edgekit.graph.values import add_initializer, array_of, only_reader, required

__all__ = ["clamp_integers", "drop_implied_clamps"]


def drop_implied_clamps(model: ir.Model) -> bool:
    """Remove each ``Relu``/``Clip`` whose bounds quantize to the ends of the integer type.

    Exact: the clamp then changes no integer.
    """
    modified = False
    for node, quantize in _quantized_clamps(model):
        if _integer_bounds(node, quantize) == _type_bounds(quantize):
            replace_node(node, required(node, 0))
            modified = True
    return modified


def clamp_integers(model: ir.Model) -> bool:
    """Move each remaining clamp behind its ``QuantizeLinear``, where it clamps the integers themselves.

    A range shared with values that are not clamped (a concatenation, say) reaches beyond the clamp.
    Exact: clamping to a bound and quantizing is quantizing and clamping to the quantized bound.
    """
    modified = False
    for node, quantize in _quantized_clamps(model):
        low, high = _integer_bounds(node, quantize)
        replace_node(node, required(node, 0))
        _insert_clip(model.graph, quantize, low, high)
        modified = True
    return modified


def _quantized_clamps(model: ir.Model) -> list[tuple[ir.Node, ir.Node]]:
    """Every clamp that only a ``QuantizeLinear`` reads, with that reader."""
    found = []
    for node in model.graph:
        reader = only_reader(node.outputs[0]) if is_fusable(node) else None
        if reader is not None and reader.op_type == "QuantizeLinear":
            found.append((node, reader))
    return found


def _integer_bounds(clamp: ir.Node, quantize: ir.Node) -> tuple[int, int]:
    if clamp.op_type == "Relu":
        return _quantized(quantize, 0.0), _quantized(quantize, math.inf)
    low, high = (array_of(v) for v in (*clamp.inputs[1:], None, None)[:2])
    return (
        _quantized(quantize, -math.inf if low is None else float(low)),
        _quantized(quantize, math.inf if high is None else float(high)),
    )


def _quantized(quantize: ir.Node, real: float) -> int:
    scale, zero = array_of(quantize.inputs[1]), array_of(quantize.inputs[2])
    assert scale is not None
    assert zero is not None
    integer = np.rint(np.float32(real) / np.float32(scale)) + int(zero)
    return int(np.clip(integer, *_type_bounds(quantize)))


def _type_bounds(quantize: ir.Node) -> tuple[int, int]:
    zero = array_of(quantize.inputs[2])
    assert zero is not None
    info = np.iinfo(zero.dtype.name)
    return int(info.min), int(info.max)


def _insert_clip(graph: ir.Graph, quantize: ir.Node, low: int, high: int) -> None:
    source = quantize.outputs[0]
    zero = array_of(quantize.inputs[2])
    assert zero is not None
    bounds = [
        add_initializer(graph, f"{quantize.name}.{end}", np.asarray(value, zero.dtype))
        for end, value in (("min", low), ("max", high))
    ]
    clip = ir.node("Clip", [source, *bounds], name=f"{quantize.name}.clamp")
    clip.outputs[0].name = f"{source.name}.clamped"
    ir.convenience.replace_all_uses_with(source, clip.outputs[0], replace_graph_outputs=True)
    clip.replace_input_with(0, source)
    graph.insert_after(quantize, clip)
    infer_types(clip)
