"""Taking parts of a value: slices with any step, and elements by constant index."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.lowering import Lowering
from edgekit.errors import UnsupportedError
from edgekit.graph import qdq
from edgekit.graph.slices import ranges_of
from edgekit.graph.values import shape_of

__all__ = ["lower_gather", "lower_slice"]


def lower_slice(lowering: Lowering, node: ir.Node) -> None:
    """SLICE, or STRIDED_SLICE where a step is not 1."""
    held = lowering.stored(node.inputs[0])
    target = lowering.result(node.outputs[0], inherit=held.index, layout=held.layout)
    taken = ranges_of(node)
    parts = [taken[axis] for axis in held.layout]
    program = lowering.program
    if all(part.step == 1 for part in parts):
        begin = lowering.integers(*(part.start for part in parts))
        size = lowering.integers(*(len(part) for part in parts))
        program.add_operator("SLICE", [held.index, begin, size], [target])
        return
    bounds = [
        lowering.integers(*(part.start for part in parts)),
        # A negative end would count from the back: such an axis goes to its very end by the mask.
        lowering.integers(*(max(part.stop, 0) for part in parts)),
        lowering.integers(*(part.step for part in parts)),
    ]
    mask = sum(1 << i for i, part in enumerate(parts) if part.stop < 0)
    program.add_operator("STRIDED_SLICE", [held.index, *bounds], [target], endMask=mask)


def lower_gather(lowering: Lowering, node: ir.Node) -> None:
    """GATHER by a constant vector."""
    indices = qdq.constant(node.inputs[1])
    if indices is None or indices.ndim != 1:
        raise UnsupportedError(
            f"node {node.name!r} (Gather): its indices must be constant", hint="compute them before export"
        )
    held = lowering.stored(node.inputs[0])
    axis = held.layout.index(node.attributes.get_int("axis", 0) % len(shape_of(node.inputs[0])))
    target = lowering.result(node.outputs[0], inherit=held.index, layout=held.layout)
    chosen = lowering.constant(f"{node.name}.indices", indices.astype(np.int32))
    lowering.program.add_operator("GATHER", [held.index, chosen], [target], axis=axis)
