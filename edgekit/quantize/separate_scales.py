"""Giving the inputs of a concatenation scales of their own where the integer contract imposes one of them.

A sigmoid's output has a fixed scale, and a concatenation one for all its inputs. Between the two goes a clamp
to the range that the value has anyway: its output may have any scale, so it is where a runtime rescales.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.graph.edit import SCOPE
from edgekit.graph.ops import infer_types
from edgekit.graph.values import add_initializer, new_node
from edgekit.quantize.contract import CONTRACT

__all__ = ["separate_scales"]

_RANGES = {"Sigmoid": (0.0, 1.0), "Softmax": (0.0, 1.0), "Tanh": (-1.0, 1.0)}


def separate_scales(model: ir.Model) -> ir.Model:
    """A copy with such clamps; the model itself if it needs none."""
    if not any(_mixed(node) for node in model.graph):
        return model
    copy = model.clone()
    for node in list(copy.graph):
        for index in _mixed(node):
            _insert_clamp(copy.graph, node, index)
    return copy


def _mixed(node: ir.Node) -> list[int]:
    """Inputs of a concatenation that have a fixed scale which others have not."""
    if node.op_type != "Concat":
        return []
    imposed = [_imposed(value) for value in node.inputs]
    demands = [None if found is None else CONTRACT[found].params for found in imposed]
    if all(params == demands[0] for params in demands):
        return []
    return [index for index, params in enumerate(demands) if params is not None]


def _imposed(value: ir.Value | None) -> str | None:
    """The operator that decides the scale of a value, through what only moves numbers."""
    node = value.producer() if value is not None else None
    rule = CONTRACT.get(node.op_type) if node is not None else None
    if node is None or rule is None or rule.kind == "free":
        return None
    if rule.kind == "fixed":
        return node.op_type
    found = {
        _imposed(operand) for operand in node.inputs if operand is not None and operand.const_value is None
    }
    return found.pop() if len(found) == 1 else None


def _insert_clamp(graph: ir.Graph, node: ir.Node, index: int) -> None:
    value = node.inputs[index]
    origin = _imposed(value)
    assert origin is not None
    name = f"{node.name}.input{index}"
    bounds = [
        add_initializer(graph, f"{name}.{end}", np.asarray(bound, np.float32))
        for end, bound in zip(("min", "max"), _RANGES[origin], strict=True)
    ]
    clamp = new_node("Clip", [value, *bounds], None, {SCOPE: node.name or ""})
    clamp.name = clamp.outputs[0].name = name
    graph.insert_before(node, clamp)
    infer_types(clamp)
    node.replace_input_with(index, clamp.outputs[0])
