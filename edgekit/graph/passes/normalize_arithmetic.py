"""Write sums of any number of operands as additions of two."""

from __future__ import annotations

from functools import reduce

import onnx_ir as ir

from edgekit.graph.edit import add_before, replace_node
from edgekit.graph.values import required

__all__ = ["normalize_arithmetic"]


def normalize_arithmetic(model: ir.Model) -> bool:
    """Replace ``Sum`` by a chain of ``Add``."""
    modified = False
    for node in list(model.graph):
        if node.op_type != "Sum":
            continue
        operands = [required(node, index) for index in range(len(node.inputs))]
        replace_node(node, _chain(node, operands))
        modified = True
    return modified


def _chain(place: ir.Node, operands: list[ir.Value]) -> ir.Value:
    return reduce(lambda left, right: add_before(place, "Add", [left, right]), operands)
