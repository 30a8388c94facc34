"""What a ``Slice`` with constant bounds takes of each axis."""

from __future__ import annotations

import onnx_ir as ir

from edgekit.errors import UnsupportedError
from edgekit.graph.values import array_of, required, shape_of

__all__ = ["ranges_of"]


def ranges_of(node: ir.Node) -> list[range]:
    """One range of indices for each axis of the input, with Python's meaning of bounds out of range.

    Raises :class:`UnsupportedError` naming the node when a bound is computed.
    """
    shape = shape_of(required(node, 0))
    taken = [range(size) for size in shape]
    starts, ends = _ints(node, 1, []), _ints(node, 2, [])
    axes = _ints(node, 3, list(range(len(starts))))
    steps = _ints(node, 4, [1] * len(starts))
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        size = shape[axis]
        # The most negative end means "to the front" when the step is negative.
        stop = None if step < 0 and end < -size else end
        taken[axis] = range(*slice(start, stop, step).indices(size))
    return taken


def _ints(node: ir.Node, index: int, default: list[int]) -> list[int]:
    given = node.inputs[index] if index < len(node.inputs) else None
    if given is None:
        return default
    array = array_of(given)
    if array is None:
        raise UnsupportedError(
            f"node {node.name!r} ({node.op_type}): input {index} must be a constant",
            hint="bounds must not depend on the image; export the model with a static input shape",
        )
    return [int(item) for item in array.reshape(-1)]
