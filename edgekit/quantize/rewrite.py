"""Putting parameters and integers into the graph as Q/DQ pairs: the quantized graph."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from edgekit.graph.qdq import QuantizedTensor, insert_activation_pair, insert_constant, scalar_params
from edgekit.graph.subgraph import values_by_name
from edgekit.graph.values import add_initializer, array_of, required
from edgekit.quantize.arithmetic import ActivationParams
from edgekit.quantize.plan import Plan

__all__ = ["rewrite"]


def rewrite(
    model: ir.Model,
    plan: Plan,
    params: Mapping[str, ActivationParams],
    constants: Mapping[str, Mapping[int, QuantizedTensor]],
) -> ir.Model:
    """A quantized copy of a canonical fp32 graph, by the convention of :mod:`edgekit.graph.qdq`.

    ``params`` are those of each of the plan's values, ``constants`` the integer constants of each layer,
    by layer name and input index.
    """
    quantized = model.clone()
    graph, values = quantized.graph, values_by_name(quantized)
    nodes = {node.name: node for node in graph}
    for layer in plan.layers:
        for index, constant in constants.get(layer.name, {}).items():
            _own(graph, nodes[layer.name], index)
            insert_constant(graph, nodes[layer.name], index, constant)
    for name in plan.values:
        insert_activation_pair(
            graph, values[name], scalar_params(params[name].scale, params[name].zero_point)
        )
    return quantized


def _own(graph: ir.Graph, node: ir.Node, index: int) -> None:
    """A constant that several nodes read becomes one for each: their integers and scales may differ."""
    value = required(node, index)
    array = array_of(value)
    assert array is not None
    if len(value.uses()) > 1:
        node.replace_input_with(index, add_initializer(graph, f"{node.name}.constant{index}", array))
