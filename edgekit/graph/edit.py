"""The few edits that passes are made of: new nodes with inferred types, replacements, removals.

A node that a pass adds inherits the scope of the node it stands for, so that
:mod:`edgekit.graph.passes.name_nodes` can name it after the same layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from edgekit.graph.ops import infer_types
from edgekit.graph.values import Array, AttributeValue, add_initializer, attribute, new_node

__all__ = [
    "SCOPE",
    "add_before",
    "constant_before",
    "drop_node",
    "replace_node",
    "scope_of",
    "with_attributes",
]

SCOPE = "edgekit.scope"
"""Metadata key of a node: dotted name of the layer that it belongs to, until nodes are named."""


def scope_of(node: ir.Node) -> str:
    """Dotted name of the layer that the node belongs to; empty for the network itself."""
    return node.metadata_props.get(SCOPE, "")


def add_before(
    place: ir.Node,
    op_type: str,
    inputs: Sequence[ir.Value | None],
    attributes: Mapping[str, AttributeValue] | None = None,
) -> ir.Value:
    """Insert a node in front of ``place``, in its scope; returns its output with shape and dtype."""
    graph = _graph_of(place)
    node = new_node(op_type, inputs, attributes, place.metadata_props)
    graph.insert_before(place, node)
    node.name = node.outputs[0].name
    infer_types(node)
    return node.outputs[0]


def constant_before(place: ir.Node, suffix: str, array: Array) -> ir.Value:
    """Register an initializer named after ``place``."""
    return add_initializer(_graph_of(place), f"{place.name}.{suffix}", array)


def replace_node(node: ir.Node, value: ir.Value) -> None:
    """Let every reader of the node's single output read ``value`` instead, and remove the node."""
    ir.convenience.replace_all_uses_with(node.outputs[0], value, replace_graph_outputs=True)
    drop_node(node)


def drop_node(node: ir.Node) -> None:
    """Remove a node that nothing reads."""
    _graph_of(node).remove(node, safe=True)


def with_attributes(node: ir.Node, attributes: Mapping[str, AttributeValue]) -> bool:
    """Set attributes in place; returns whether any of them was missing or different."""
    modified = False
    for name, value in attributes.items():
        old = node.attributes.get(name)
        if old is not None and _plain(old.value) == _plain(value):
            continue
        node.attributes.add(attribute(name, value))
        modified = True
    return modified


def _plain(value: object) -> object:
    return list(value) if isinstance(value, (list, tuple, np.ndarray)) else value


def _graph_of(node: ir.Node) -> ir.Graph:
    assert isinstance(node.graph, ir.Graph), f"node {node.name!r} belongs to no graph"
    return node.graph
