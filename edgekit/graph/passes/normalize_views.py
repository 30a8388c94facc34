"""Write every change of shape that moves no element as ``Flatten(axis=1)`` or ``Reshape``.

A chain of such views is one view.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.graph.edit import add_before, constant_before, replace_node
from edgekit.graph.values import array_of, op_of, required, shape_of

__all__ = ["normalize_views"]

_VIEWS = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})


def normalize_views(model: ir.Model) -> bool:
    """Merge chains of views and write each in its canonical form."""
    modified = False
    for node in list(model.graph):
        if node.op_type not in _VIEWS:
            continue
        source, shape = _origin(required(node, 0)), shape_of(node.outputs[0])
        flat = len(shape) == 2 and shape[0] == shape_of(source)[:1][-1]
        if source is node.inputs[0] and _is_canonical(node, flat):
            continue
        if flat:
            result = add_before(node, "Flatten", [source], {"axis": 1})
        else:
            target = constant_before(node, "shape", np.array(shape, np.int64))
            result = add_before(node, "Reshape", [source, target])
        replace_node(node, result)
        modified = True
    return modified


def _origin(value: ir.Value) -> ir.Value:
    """What a chain of views looks at."""
    while op_of(value) in _VIEWS:
        producer = value.producer()
        assert producer is not None
        value = required(producer, 0)
    return value


def _is_canonical(node: ir.Node, flat: bool) -> bool:
    if node.op_type == "Flatten":
        return node.attributes.get_int("axis", 1) == 1
    if node.op_type != "Reshape" or flat:
        return False
    target = array_of(required(node, 1))
    return target is not None and tuple(target) == shape_of(node.outputs[0]) and not node.attributes
