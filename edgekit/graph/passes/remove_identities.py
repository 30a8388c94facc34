"""Remove operators that return their input: identities, dropout, casts to the same type, no-op views."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.graph.edit import add_before, constant_before, replace_node
from edgekit.graph.values import array_of, required, shape_of

__all__ = ["remove_identities"]

_VIEWS = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Cast", "CastLike")


def remove_identities(model: ir.Model) -> bool:
    """Let readers of a no-op read its input."""
    modified = False
    for node in list(model.graph):
        if not _is_identity(node):
            continue
        source = required(node, 0)
        if node.outputs[0].is_graph_output() and (source.producer() is None or source.is_graph_output()):
            modified |= _write_copy(node, source)
            continue
        replace_node(node, source)
        modified = True
    return modified


def _write_copy(node: ir.Node, source: ir.Value) -> bool:
    """A graph's output is computed by a node, for it alone: one that hands on what is there is a view."""
    if node.op_type == "Reshape":
        return False
    shape = constant_before(node, "shape", np.array(shape_of(source), np.int64))
    replace_node(node, add_before(node, "Reshape", [source, shape]))
    return True


def _is_identity(node: ir.Node) -> bool:
    if any(value.uses() or value.is_graph_output() for value in node.outputs[1:]):
        return False
    if node.op_type in ("Identity", "Dropout"):
        return True
    if node.op_type in ("Cast", "CastLike"):
        return required(node, 0).dtype == node.outputs[0].dtype or _narrows_indices(node)
    if node.op_type == "Concat":
        return len(node.inputs) == 1
    if node.op_type in ("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"):
        return bool(node.attributes.get_int("noop_with_empty_axes", 0)) and not _names_axes(node)
    if node.op_type == "Transpose":
        return _is_trivial_transpose(node)
    if node.op_type == "Pad":
        pads = array_of(required(node, 1))
        return pads is not None and not pads.any()
    # Same shape and same order of elements.
    keeps_order = node.op_type in ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand", "Slice")
    return keeps_order and _keeps_shape(node) and not _reverses(node)


def _narrows_indices(node: ir.Node) -> bool:
    """A cast of indices, which every format gives as int64, to integers that hold all of them."""
    to = node.outputs[0].dtype
    if to is None or to.is_floating_point() or to == ir.DataType.BOOL:
        return False
    found = required(node, 0).producer()
    while found is not None and found.op_type in _VIEWS:
        found = required(found, 0).producer()
    if found is None or found.op_type not in ("ArgMax", "ArgMin"):
        return False
    extent = shape_of(required(found, 0))[found.attributes.get_int("axis", 0)]
    return extent - 1 <= np.iinfo(to.numpy()).max


def _names_axes(node: ir.Node) -> bool:
    given = node.inputs[1] if len(node.inputs) > 1 else None
    axes = array_of(given)
    return given is not None and (axes is None or axes.size > 0)


def _keeps_shape(node: ir.Node) -> bool:
    return shape_of(required(node, 0)) == shape_of(node.outputs[0])


def _reverses(node: ir.Node) -> bool:
    """A slice of the whole extent with a negative step turns the axis around."""
    if node.op_type != "Slice" or len(node.inputs) < 5 or node.inputs[4] is None:
        return False
    steps = array_of(node.inputs[4])
    return steps is None or any(int(step) < 0 for step in steps.reshape(-1))


def _is_trivial_transpose(node: ir.Node) -> bool:
    perm = node.attributes.get_ints("perm")
    return perm is not None and list(perm) == sorted(perm)
