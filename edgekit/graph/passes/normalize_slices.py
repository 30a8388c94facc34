"""Write every way to take a part of a value as ``Slice`` with plain bounds, or ``Gather`` by a vector.

``Split`` is a slice for each of its outputs, so that every node has one output. Bounds count from the front
and end inside; steps are stated only where one is not 1.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.errors import UnsupportedError
from edgekit.graph.edit import add_before, constant_before, replace_node
from edgekit.graph.slices import ranges_of
from edgekit.graph.values import Array, array_of, required, shape_of

__all__ = ["normalize_slices"]


def normalize_slices(model: ir.Model) -> bool:
    """Rewrite ``Split``, ``Slice`` and ``Gather``."""
    modified = False
    for node in list(model.graph):
        if node.op_type == "Split":
            _replace_split(model.graph, node)
        elif node.op_type == "Slice" and not _is_canonical(node):
            replace_node(node, _sliced(node, required(node, 0), ranges_of(node)))
        elif node.op_type == "Gather":
            result = _gathered(node)
            if result is None:
                continue
            replace_node(node, result)
        else:
            continue
        modified = True
    return modified


def _replace_split(graph: ir.Graph, node: ir.Node) -> None:
    source = required(node, 0)
    shape = shape_of(source)
    axis = node.attributes.get_int("axis", 0) % len(shape)
    start = 0
    for output in node.outputs:
        stop = start + shape_of(output)[axis]
        taken = [range(size) for size in shape]
        taken[axis] = range(start, stop)
        part = _sliced(node, source, taken)
        ir.convenience.replace_all_uses_with(output, part, replace_graph_outputs=True)
        start = stop
    graph.remove(node, safe=True)


def _sliced(node: ir.Node, source: ir.Value, taken: list[range]) -> ir.Value:
    shape = shape_of(source)
    axes = [axis for axis, part in enumerate(taken) if part != range(shape[axis])] or [0]
    parts = [taken[axis] for axis in axes]
    # What ends before the front can only be said by a number that no axis reaches.
    stops = [part.stop if part.stop >= 0 else np.iinfo(np.int64).min for part in parts]
    bounds = [[part.start for part in parts], stops, axes]
    if any(part.step != 1 for part in parts):
        bounds.append([part.step for part in parts])
    names = ("starts", "ends", "axes", "steps")
    constants = [
        constant_before(node, name, np.array(numbers, np.int64))
        for name, numbers in zip(names, bounds, strict=False)
    ]
    return add_before(node, "Slice", [source, *constants])


def _is_canonical(node: ir.Node) -> bool:
    arrays = [array_of(value) for value in node.inputs[1:]]
    if len(arrays) not in (3, 4) or any(array is None for array in arrays):
        return False
    shape = shape_of(required(node, 0))
    taken = ranges_of(node)
    starts, ends, axes = (
        [int(item) for item in array.reshape(-1)] for array in arrays[:3] if array is not None
    )
    wanted = [taken[axis] for axis in axes]
    steps = [part.step for part in wanted]
    return (
        axes == sorted(set(axes))
        and [part.start for part in wanted] == starts
        and [part.stop if part.stop >= 0 else np.iinfo(np.int64).min for part in wanted] == ends
        and (len(arrays) == 4) == any(step != 1 for step in steps)
        and min(axes, default=0) >= 0
        and len(axes) <= len(shape)
    )


def _gathered(node: ir.Node) -> ir.Value | None:
    """A gather by a vector of counts from the front; None where it is one already."""
    indices = array_of(required(node, 1))
    if indices is None:
        raise UnsupportedError(
            f"node {node.name!r} (Gather): its indices must be constant",
            hint="compute them before the export; a lookup by input has no form on the device",
        )
    source = required(node, 0)
    shape = shape_of(source)
    axis = node.attributes.get_int("axis", 0) % len(shape)
    vector = indices.reshape(-1).astype(np.int64)
    vector = np.where(vector < 0, vector + shape[axis], vector)
    if vector.size and (vector.min() < 0 or vector.max() >= shape[axis]):
        raise UnsupportedError(f"node {node.name!r} (Gather): indices {indices.tolist()} of {list(shape)}")
    part = _as_range(vector)
    if part is not None:
        taken = [range(size) for size in shape]
        taken[axis] = part
        result = _sliced(node, source, taken)
    elif indices.ndim == 1 and np.array_equal(indices, vector) and indices.dtype == np.int64:
        return None
    else:
        constant = constant_before(node, "indices", vector)
        result = add_before(node, "Gather", [source, constant], {"axis": axis})
    if indices.ndim == 1:
        return result
    target = np.array(shape_of(node.outputs[0]), np.int64)
    return add_before(node, "Reshape", [result, constant_before(node, "shape", target)])


def _as_range(vector: Array) -> range | None:
    """Neighbours in their order."""
    if not vector.size:
        return None
    numbers = [int(item) for item in vector]
    found = range(numbers[0], numbers[0] + len(numbers))
    return found if numbers == list(found) else None
