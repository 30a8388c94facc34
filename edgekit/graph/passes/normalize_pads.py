"""Write padding that few formats know as slices and gathers.

A negative amount cuts; ``edge`` and ``wrap`` repeat rows that are there, which a gather by constant indices
does in every format.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.graph.edit import add_before, constant_before, replace_node
from edgekit.graph.values import array_of, required, shape_of

__all__ = ["normalize_pads"]


def normalize_pads(model: ir.Model) -> bool:
    """Replace negative amounts and the modes ``edge`` and ``wrap``."""
    modified = False
    for node in list(model.graph):
        pads = array_of(required(node, 1)) if node.op_type == "Pad" else None
        if pads is None:
            continue
        rank = len(shape_of(required(node, 0)))
        if pads.size != 2 * rank:
            continue
        before, after = ([int(item) for item in part] for part in pads.reshape(2, rank))
        if min(before + after) < 0:
            _cut(node, before, after)
            modified = True
        elif node.attributes.get_string("mode", "constant") in ("edge", "wrap"):
            replace_node(node, _gathered(node, before, after))
            modified = True
    return modified


def _cut(node: ir.Node, before: list[int], after: list[int]) -> None:
    source = required(node, 0)
    size = shape_of(source)
    starts = [max(-amount, 0) for amount in before]
    ends = [dim - max(-amount, 0) for dim, amount in zip(size, after, strict=True)]
    names = (("starts", starts), ("ends", ends), ("axes", range(len(size))))
    bounds = [constant_before(node, name, np.array(numbers, np.int64)) for name, numbers in names]
    node.replace_input_with(0, add_before(node, "Slice", [source, *bounds]))
    rest = np.maximum([*before, *after], 0).astype(np.int64)
    node.replace_input_with(1, constant_before(node, "pads", rest))


def _gathered(node: ir.Node, before: list[int], after: list[int]) -> ir.Value:
    value = required(node, 0)
    wraps = node.attributes.get_string("mode") == "wrap"
    for axis, size in enumerate(shape_of(value)):
        if not before[axis] and not after[axis]:
            continue
        indices = np.arange(-before[axis], size + after[axis])
        indices = indices % size if wraps else np.clip(indices, 0, size - 1)
        constant = constant_before(node, "indices", indices.astype(np.int64))
        value = add_before(node, "Gather", [value, constant], {"axis": axis})
    return value
