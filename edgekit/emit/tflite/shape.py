"""Operators that arrange data anew: transpositions, views, concatenation, repetition."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.elementwise import common_layout
from edgekit.emit.tflite.interleave import interleave, is_interleaving
from edgekit.emit.tflite.layout import after_transpose, permutation, shape_in_file
from edgekit.emit.tflite.lowering import Lowering, Stored, name_of
from edgekit.emit.tflite.views import view
from edgekit.graph import qdq
from edgekit.graph.values import required, shape_of

__all__ = ["lower_concat", "lower_expand", "lower_reshape", "lower_tile", "lower_transpose"]


def lower_transpose(lowering: Lowering, node: ir.Node) -> None:
    """Nothing: the same tensor, seen in another layout. Whoever needs a certain one transposes."""
    held = lowering.stored(node.inputs[0])
    perm = node.attributes.get_ints("perm", ())
    lowering.bind(node.outputs[0], held.index, after_transpose(held.layout, perm))


def lower_reshape(lowering: Lowering, node: ir.Node) -> None:
    """RESHAPE, after a TRANSPOSE only where elements that become neighbours are not stored so."""
    value = node.outputs[0]
    seen = _interleaved(lowering, node) or lowering.viewed(node.inputs[0], shape_of(value))
    source = seen.index
    parameters = lowering.parameters_for(value, inherit=source)
    tensor = lowering.program.tensors[source]
    if parameters is not None and not parameters.same_as(tensor.quantization):
        target = lowering.program.add_tensor(
            f"{name_of(value)}.requantized", tensor.shape, parameters.dtype, parameters
        )
        lowering.program.add_operator("QUANTIZE", [source], [target])
        source = target
    lowering.bind(value, source, seen.layout)


def _interleaved(lowering: Lowering, node: ir.Node) -> Stored | None:
    """The end of a channel shuffle; None for any other reshape."""
    held, shape = lowering.stored(node.inputs[0]), shape_of(node.outputs[0])
    seen = view(shape_of(node.inputs[0]), shape, held.layout)
    perm = permutation(held.layout, seen.source)
    if not is_interleaving(lowering.program.tensors[held.index].shape, perm):
        return None
    columns = interleave(lowering, held.index, name_of(required(node, 0)))
    index = lowering.reshaped(columns, shape_in_file(shape, seen.result))
    return Stored(index, seen.result)


def lower_concat(lowering: Lowering, node: ir.Node) -> None:
    """CONCATENATION."""
    layout = common_layout(lowering, node)
    axis = layout.index(node.attributes.get_int("axis", 1) % len(layout))
    sources = [_whole(lowering, value, layout) for value in node.inputs]
    computed = next(i for i, value in enumerate(node.inputs) if qdq.constant(value) is None)
    target = lowering.result(node.outputs[0], inherit=sources[computed], layout=layout)
    lowering.program.add_operator("CONCATENATION", sources, [target], axis=axis, fusedActivationFunction=0)


def _whole(lowering: Lowering, value: ir.Value | None, layout: tuple[int, ...]) -> int:
    """An operand that does not broadcast."""
    array = qdq.constant(value)
    if array is None:
        return lowering.operand(value, layout)
    return lowering.constant("constant.part", np.ascontiguousarray(array.transpose(layout)))


def lower_expand(lowering: Lowering, node: ir.Node) -> None:
    """BROADCAST_TO."""
    shape = shape_of(node.outputs[0])
    rank = len(shape)
    given = shape_of(node.inputs[0])
    seen = lowering.viewed(node.inputs[0], (1,) * (rank - len(given)) + given)
    target = lowering.result(node.outputs[0], inherit=seen.index, layout=seen.layout)
    sizes = lowering.integers(*shape_in_file(shape, seen.layout))
    lowering.program.add_operator("BROADCAST_TO", [seen.index, sizes], [target])


def lower_tile(lowering: Lowering, node: ir.Node) -> None:
    """TILE."""
    held = lowering.stored(node.inputs[0])
    shapes = shape_of(node.inputs[0]), shape_of(node.outputs[0])
    repeats = [after // before for before, after in zip(*shapes, strict=True)]
    target = lowering.result(node.outputs[0], inherit=held.index, layout=held.layout)
    counts = lowering.integers(*(repeats[axis] for axis in held.layout))
    lowering.program.add_operator("TILE", [held.index, counts], [target])
