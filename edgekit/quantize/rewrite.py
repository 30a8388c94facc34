"""Putting parameters and integers into the graph as Q/DQ pairs: the quantized graph."""

from __future__ import annotations

from collections.abc import Mapping

import onnx_ir as ir

from edgekit.graph.qdq import (
    QuantizedTensor,
    insert_activation_pair,
    insert_constant,
    mark_float,
    scalar_params,
)
from edgekit.graph.subgraph import values_by_name
from edgekit.graph.values import add_initializer, array_of, required
from edgekit.quantize.arithmetic import ActivationParams
from edgekit.quantize.plan import LayerPrecision, Plan

__all__ = ["rewrite"]

_INT16_OPSET = 21  # the first whose QuantizeLinear has int16
_DTYPES = {8: ir.DataType.INT8, 16: ir.DataType.INT16}


def rewrite(
    model: ir.Model,
    plan: Plan,
    params: Mapping[str, ActivationParams],
    constants: Mapping[str, Mapping[int, QuantizedTensor]],
) -> ir.Model:
    """A quantized copy of a canonical fp32 graph, by the convention of :mod:`edgekit.graph.qdq`.

    ``params`` are the int8 parameters of each of the plan's values, ``constants`` the integer constants of
    each integer layer, by layer name and input index.
    """
    quantized = model.clone()
    graph, values = quantized.graph, values_by_name(quantized)
    nodes = {node.name or "": node for node in graph}
    for layer in plan.layers:
        for index, constant in constants.get(layer.name, {}).items():
            _own(graph, nodes[layer.name], index)
            insert_constant(graph, nodes[layer.name], index, constant)
        if layer.precision == "float":
            mark_float(nodes[layer.name])
    for name in plan.values:
        _insert_pairs(graph, plan, name, values[name], nodes, params)
    if "int16" in plan.precisions.values():
        graph.opset_imports[""] = _INT16_OPSET
    return quantized


def _insert_pairs(
    graph: ir.Graph,
    plan: Plan,
    name: str,
    value: ir.Value,
    nodes: Mapping[str, ir.Node],
    params: Mapping[str, ActivationParams],
) -> None:
    """The value's own pair, then one for its readers of each other width; indices have none."""
    if value.dtype != ir.DataType.FLOAT:
        return
    own = plan.precisions[name]
    readers: dict[LayerPrecision, list[ir.Node]] = {}
    for layer in plan.layers:
        if name in layer.inputs:
            readers.setdefault(layer.precision, []).append(nodes[layer.name])
    source = value
    if own != "float":
        source = insert_activation_pair(graph, value, _at(plan, name, own, params))
    if name == plan.output and own != plan.ends:
        at = _at(plan, name, plan.ends, params)
        insert_activation_pair(graph, source, at, name=_pair_name(name, own, plan.ends))
        return
    for precision, nodes_of_it in readers.items():
        if precision not in (own, "float"):
            at = _at(plan, name, precision, params)
            insert_activation_pair(graph, source, at, nodes_of_it, _pair_name(name, own, precision))


def _pair_name(name: str, own: LayerPrecision, precision: LayerPrecision) -> str:
    return name if own == "float" and precision == "int8" else f"{name}.{precision}"


def _at(
    plan: Plan, name: str, precision: LayerPrecision, params: Mapping[str, ActivationParams]
) -> QuantizedTensor:
    found = plan.params_at(name, precision, params)
    assert found is not None
    return scalar_params(found.scale, found.zero_point, _DTYPES[found.bits])


def _own(graph: ir.Graph, node: ir.Node, index: int) -> None:
    """A constant that several nodes read becomes one for each: their integers and scales may differ."""
    value = required(node, index)
    array = array_of(value)
    assert array is not None
    if len(value.uses()) > 1:
        node.replace_input_with(index, add_initializer(graph, f"{node.name}.constant{index}", array))
