"""Write averages over the whole image as ``GlobalAveragePool``."""

from __future__ import annotations

import onnx_ir as ir

from edgekit.graph.edit import add_before, replace_node
from edgekit.graph.values import array_of, required, shape_of

__all__ = ["normalize_pooling"]


def normalize_pooling(model: ir.Model) -> bool:
    """Replace ``ReduceMean`` over height and width, and average pools with one window."""
    modified = False
    for node in list(model.graph):
        if node.op_type == "ReduceMean" and _is_over_image(node):
            pooled = add_before(node, "GlobalAveragePool", [required(node, 0)])
            flat = not node.attributes.get_int("keepdims", 1)
            replace_node(node, add_before(node, "Flatten", [pooled], {"axis": 1}) if flat else pooled)
        elif node.op_type == "AveragePool" and _is_one_window(node):
            replace_node(node, add_before(node, "GlobalAveragePool", [required(node, 0)]))
        else:
            continue
        modified = True
    return modified


def _is_over_image(node: ir.Node) -> bool:
    rank = len(shape_of(required(node, 0)))
    axes = array_of(node.inputs[1]) if len(node.inputs) > 1 else None
    return rank == 4 and axes is not None and sorted(int(axis) % rank for axis in axes.reshape(-1)) == [2, 3]


def _is_one_window(node: ir.Node) -> bool:
    """Whether the window is the image: same size and no padding that it would count."""
    size = shape_of(required(node, 0))[2:]
    kernel = tuple(node.attributes.get_ints("kernel_shape", ()))
    covers = len(size) == 2 and shape_of(node.outputs[0])[2:] == (1, 1)
    return covers and kernel == size and not any(node.attributes.get_ints("pads", ()))
