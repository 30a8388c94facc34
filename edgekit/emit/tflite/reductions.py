"""Reductions over axes, and the index of an extreme."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.layout import Layout
from edgekit.emit.tflite.lowering import Lowering, name_of
from edgekit.emit.tflite.schema import schema
from edgekit.errors import UnsupportedError
from edgekit.graph import qdq
from edgekit.graph.values import shape_of

__all__ = ["extreme_index", "reduction"]


def reduction(code: str, shares_scale: bool = False) -> Callable[[Lowering, ir.Node], None]:
    """Lowering of a reduction over constant axes; ``shares_scale`` says that int8 kernels keep the scale."""

    def lower(lowering: Lowering, node: ir.Node) -> None:
        held = lowering.stored(node.inputs[0])
        axes = _axes(node, held.layout)
        keeps = bool(node.attributes.get_int("keepdims", 1))
        layout = held.layout if keeps else _without(held.layout, axes)
        inherit = held.index if shares_scale else None
        target = lowering.result(node.outputs[0], inherit=inherit, layout=layout)
        operands = [held.index, lowering.integers(*axes)]
        lowering.program.add_operator(code, operands, [target], keepDims=keeps)

    return lower


def _axes(node: ir.Node, layout: Layout) -> list[int]:
    """The axes as stored, all of them when none are named."""
    given = qdq.constant(node.inputs[1]) if len(node.inputs) > 1 else None
    rank = len(layout)
    named = (
        range(rank) if given is None or not given.size else [int(axis) % rank for axis in given.reshape(-1)]
    )
    return sorted(layout.index(axis) for axis in named)


def _without(layout: Layout, positions: Sequence[int]) -> Layout:
    """Layout of what is left when the axes at these places of the tensor are gone."""
    rest = [axis for position, axis in enumerate(layout) if position not in positions]
    return tuple(sorted(rest).index(axis) for axis in rest)


def extreme_index(code: str) -> Callable[[Lowering, ir.Node], None]:
    """Lowering of ``ArgMax`` or ``ArgMin``: 64-bit indices of the first extreme along one axis."""

    def lower(lowering: Lowering, node: ir.Node) -> None:
        if node.attributes.get_int("select_last_index", 0):
            raise UnsupportedError(
                f"node {node.name!r} ({node.op_type}): TFLite takes the first extreme, not the last"
            )
        held = lowering.stored(node.inputs[0])
        rank = len(shape_of(node.inputs[0]))
        axis = node.attributes.get_int("axis", 0) % rank
        program = lowering.program
        position = held.layout.index(axis)
        shape = program.tensors[held.index].shape
        rest = (*shape[:position], *shape[position + 1 :])
        reduced = program.add_tensor(name_of(node), rest, np.int64)
        operands = [held.index, lowering.integers(position)]
        program.add_operator(code, operands, [reduced], outputType=int(schema.TensorType.INT64))
        if node.attributes.get_int("keepdims", 1):
            kept = lowering.reshaped(reduced, (*shape[:position], 1, *shape[position + 1 :]))
            lowering.bind(node.outputs[0], kept, held.layout)
        else:
            lowering.bind(node.outputs[0], reduced, _without(held.layout, [position]))

    return lower
