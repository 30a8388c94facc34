"""Letting the batch dimension of a canonical graph float, so that N images run in one call.

A canonical graph has batch size 1 written into its shapes. Nearly every operator works on any batch
size once the recorded shapes are dropped; a ``Reshape`` must copy the first dimension instead of
naming it; the few operators that touch the batch dimension itself keep the graph at batch size 1.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.graph.ops import operator_of
from edgekit.graph.values import array_of, shape_of

__all__ = ["free_batch"]

_BATCH = "batch"


def free_batch(model: ir.Model) -> bool:
    """Make the batch dimension symbolic; False, changing nothing, when an operator fixes it to 1."""
    graph = model.graph
    if any(_fixes_batch(node) for node in graph):
        return False
    for node in graph:
        if node.op_type == "Reshape":
            _free_reshape(graph, node)
        for value in node.outputs:
            value.shape = None
    for value in graph.inputs:
        value.shape = ir.Shape([_BATCH, *shape_of(value)[1:]])
    return True


def _fixes_batch(node: ir.Node) -> bool:
    """Whether the operator reads, moves or names the first dimension of its data."""
    attributes = node.attributes
    op = node.op_type
    if op == "Transpose":
        return attributes.get_ints("perm", [-1])[0] != 0
    if op in ("Concat", "Softmax", "LogSoftmax", "Split", "Gather", "ArgMax"):
        axis = attributes.get_int("axis", -1 if "Softmax" in op else 0)
        return axis % len(shape_of(node.inputs[0])) == 0
    if op in ("Slice", "Squeeze", "Unsqueeze") or op.startswith("Reduce"):
        return _names_batch_axis(node, 3 if op == "Slice" else 1)
    if op == "Reshape":
        target = array_of(node.inputs[1])
        return target is None or target.size == 0 or int(target[0]) not in (0, 1)
    if op == "Resize":
        scales = array_of(node.inputs[2]) if len(node.inputs) > 2 else None
        return scales is None or scales.size == 0  # of sizes, as older files leave scales out
    if op in ("Expand", "MatMul"):
        return True
    return operator_of(node).kind == "elementwise" and _mixes_ranks(node)


def _names_batch_axis(node: ir.Node, axes_index: int) -> bool:
    axes = array_of(node.inputs[axes_index]) if len(node.inputs) > axes_index else None
    rank = len(shape_of(node.outputs[0] if node.op_type == "Unsqueeze" else node.inputs[0]))
    return axes is None or any(int(axis) % rank == 0 for axis in axes.reshape(-1))


def _mixes_ranks(node: ir.Node) -> bool:
    """Operands of different rank align at the end: one's batch would meet the other's channels."""
    ranks = {len(shape_of(v)) for v in node.inputs if v is not None and v.const_value is None}
    return len(ranks) > 1


def _free_reshape(graph: ir.Graph, node: ir.Node) -> None:
    """Let the target's leading 1 copy the batch dimension instead."""
    target = array_of(node.inputs[1])
    assert target is not None
    array = np.array([0, *target[1:]], np.int64)
    free = ir.val(f"{node.name}.free_shape", const_value=ir.tensor(array))
    graph.register_initializer(free)
    node.replace_input_with(1, free)
