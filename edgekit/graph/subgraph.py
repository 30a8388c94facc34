"""Cutting a part out of a graph: what is needed to compute some values from others."""

from __future__ import annotations

from collections.abc import Sequence

import onnx_ir as ir

from edgekit.errors import UnknownNameError
from edgekit.graph.values import Shape, set_type, shape_of

__all__ = ["extract_subgraph", "find_value", "values_by_name"]


def values_by_name(model: ir.Model) -> dict[str, ir.Value]:
    """Inputs, initializers and node outputs of the model's graph by name."""
    graph = model.graph
    values = [*graph.inputs, *graph.initializers.values(), *(v for node in graph for v in node.outputs)]
    return {value.name: value for value in values if value.name}


def find_value(model: ir.Model, name: str) -> ir.Value:
    """The value of that name; :class:`UnknownNameError` with the nearest names if there is none."""
    values = values_by_name(model)
    if name not in values:
        raise UnknownNameError("value", name, values)
    return values[name]


def extract_subgraph(model: ir.Model, input_names: Sequence[str], output_names: Sequence[str]) -> ir.Model:
    """A model of its own that computes ``output_names`` from ``input_names``.

    Weights are shared with ``model``, not copied; changing one model's nodes leaves the other alone.
    Value and node names are kept. Raises :class:`UnknownNameError` for a name the graph lacks or for
    an output that also needs values outside ``input_names``.
    """
    values = values_by_name(model)
    for name in (*input_names, *output_names):
        if name not in values:
            raise UnknownNameError("value", name, values)
    copies = {name: _input_like(values[name]) for name in input_names}
    needed = _needed_nodes(model, input_names, [values[name] for name in output_names])
    initializers: dict[str, ir.Value] = {}
    nodes = [_copy_node(node, copies, initializers) for node in needed]
    graph = ir.Graph(
        [copies[name] for name in input_names],
        [copies[name] for name in output_names],
        nodes=nodes,
        initializers=list(initializers.values()),
        opset_imports=dict(model.graph.opset_imports),
        name=model.graph.name,
    )
    return ir.Model(graph, ir_version=model.ir_version, producer_name=model.producer_name)


def _needed_nodes(model: ir.Model, input_names: Sequence[str], outputs: Sequence[ir.Value]) -> list[ir.Node]:
    """Nodes between inputs and outputs, in graph order."""
    given, needed = set(input_names), set()
    pending = [value for value in outputs if value.name not in given]
    while pending:
        value = pending.pop()
        producer = value.producer()
        if producer is None:
            raise UnknownNameError("subgraph input", value.name or "", given)
        if producer in needed:
            continue
        needed.add(producer)
        pending += [v for v in producer.inputs if v and v.name not in given and v.const_value is None]
    return [node for node in model.graph if node in needed]


def _copy_node(node: ir.Node, copies: dict[str, ir.Value], initializers: dict[str, ir.Value]) -> ir.Node:
    outputs = [_input_like(value) for value in node.outputs]
    inputs = [_copy_input(value, copies, initializers) for value in node.inputs]
    copies.update({value.name or "": value for value in outputs})
    return ir.Node(
        node.domain,
        node.op_type,
        inputs,
        node.attributes.values(),
        outputs=outputs,
        name=node.name,
        metadata_props=dict(node.metadata_props),
    )


def _copy_input(
    value: ir.Value | None, copies: dict[str, ir.Value], initializers: dict[str, ir.Value]
) -> ir.Value | None:
    if value is None:
        return None
    name = value.name or ""
    if name not in copies and value.const_value is not None:
        copies[name] = initializers[name] = ir.val(name, const_value=value.const_value)
    return copies[name]


def _input_like(value: ir.Value) -> ir.Value:
    shape: Shape = shape_of(value)
    copy = ir.val(value.name)
    set_type(copy, shape, value.dtype or ir.DataType.FLOAT)
    return copy
