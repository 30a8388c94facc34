"""Name nodes, their outputs and their constants after the network's layers.

A layer that is one node gives it its name (``blocks.3.expand``); a layer of several nodes, or one that
contains others, adds the operator (``blocks.3.add``). Repetitions are numbered from 2. An output is
named after its node, a constant after the node that reads it first and its role there
(``blocks.3.expand.weight``). The names depend on the canonical graph and the layers' scopes alone, so
two captures of one module agree.
"""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import pairwise

import onnx_ir as ir

from edgekit.graph.edit import SCOPE, scope_of
from edgekit.graph.values import shape_of

__all__ = ["layer_name", "name_nodes"]

_ROLES: dict[str, tuple[str, ...]] = {
    "Conv": ("", "weight", "bias"),
    "ConvTranspose": ("", "weight", "bias"),
    "Gemm": ("", "weight", "bias"),
    "Clip": ("", "min", "max"),
    "Pad": ("", "pads", "value"),
    "PRelu": ("", "slope"),
    "Reshape": ("", "shape"),
    "Resize": ("", "roi", "scales", "sizes"),
}


def name_nodes(model: ir.Model) -> bool:
    """Rename everything, and drop the scopes; image networks get ``image`` and ``logits``."""
    graph = model.graph
    names = _unique_names(_node_names(graph), _name_ends(graph))
    used = set(names) | {value.name or "" for value in (*graph.inputs, *graph.outputs)}
    constants = list(graph.initializers.values())
    graph.initializers.clear()
    for node, name in zip(graph, names, strict=True):
        node.name = name
        node.metadata_props.pop(SCOPE, None)
        _name_outputs(node, used)
    _name_constants(graph, constants, used)
    return True


def _name_ends(graph: ir.Graph) -> set[str]:
    """Name inputs and outputs; returns their names, which no node may take."""
    if len(graph.inputs) == len(graph.outputs) == 1 and len(shape_of(graph.inputs[0])) == 4:
        graph.inputs[0].name, graph.outputs[0].name = "image", "logits"
    return {value.name or "" for value in (*graph.inputs, *graph.outputs)}


def _node_names(graph: ir.Graph) -> list[str]:
    """The wanted name of each node: its layer's, with the operator where the layer is not one operator."""
    scopes = [scope_of(node) for node in graph]
    parents = {scope[:i] for scope in set(scopes) for i, char in enumerate(scope) if char == "."}
    operators: dict[str, set[str]] = defaultdict(set)
    for node, scope in zip(graph, scopes, strict=True):
        operators[scope].add(node.op_type)
    names = []
    for node, scope in zip(graph, scopes, strict=True):
        whole = scope and scope not in parents and len(operators[scope]) == 1
        names.append(scope if whole else ".".join(filter(None, [scope, _snake_case(node.op_type)])))
    return names


def _unique_names(wanted: list[str], taken: set[str]) -> list[str]:
    used = set(taken)
    return [_unique(name, used) for name in wanted]


def _unique(name: str, used: set[str]) -> str:
    """``name``, ``name_2``, ``name_3`` …, the first that is free; it is marked as used."""
    result, count = name, 1
    while result in used:
        count += 1
        result = f"{name}_{count}"
    used.add(result)
    return result


def _name_outputs(node: ir.Node, used: set[str]) -> None:
    for i, value in enumerate(node.outputs):
        if value.is_graph_output():
            continue
        value.name = node.name if len(node.outputs) == 1 else _unique(f"{node.name}.{i}", used)


def _name_constants(graph: ir.Graph, constants: list[ir.Value], used: set[str]) -> None:
    pending = {id(value) for value in constants}
    for node in graph:
        for index, value in enumerate(node.inputs):
            if value is None or id(value) not in pending:
                continue
            pending.remove(id(value))
            roles = _ROLES.get(node.op_type, ())
            role = roles[index] if index < len(roles) and roles[index] else "constant"
            value.name = _unique(f"{node.name}.{role}", used)
            graph.register_initializer(value)


def layer_name(node_name: str) -> str:
    """The layer's dotted name in a node name of a file.

    Paths become dots. torch's older exporter writes ``/features/features.0/features.0.0/Conv``, which is
    the layer ``features.0.0``.
    """
    parts = [part for part in re.split(r"[/:]", node_name) if part]
    if node_name.startswith("/") and len(parts) > 1:
        return ".".join(_without_repeats(parts[:-1]))
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", ".".join(parts))


def _without_repeats(parts: list[str]) -> list[str]:
    """Drop each part that the next one repeats as its own beginning."""
    kept = [part for part, after in pairwise(parts) if not after.startswith(f"{part}.")]
    return [*kept, parts[-1]]


def _snake_case(op_type: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", op_type).lower()
