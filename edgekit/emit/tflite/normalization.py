"""Normalizations that are computed at run time: across channels, and over the last axes.

TFLite has no integer kernels for them; in an int8 file they compute in float32.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.layout import Layout, broadcast_in_file
from edgekit.emit.tflite.lowering import Lowering, name_of
from edgekit.emit.tflite.program import Array
from edgekit.errors import UnsupportedError
from edgekit.graph import qdq

__all__ = ["lower_layer_normalization", "lower_lrn"]


def lower_lrn(lowering: Lowering, node: ir.Node) -> None:
    """LOCAL_RESPONSE_NORMALIZATION, which sums squares where ONNX averages them."""
    size = node.attributes.get_int("size", 1)
    if size % 2 == 0:
        raise UnsupportedError(
            f"node {node.name!r} (LRN): TFLite normalizes over an odd number of channels, not {size}"
        )
    source = lowering.operand(node.inputs[0])
    target = lowering.result(node.outputs[0])
    lowering.program.add_operator(
        "LOCAL_RESPONSE_NORMALIZATION",
        [source],
        [target],
        radius=size // 2,
        bias=node.attributes.get_float("bias", 1.0),
        alpha=node.attributes.get_float("alpha", 1e-4) / size,
        beta=node.attributes.get_float("beta", 0.75),
    )


def lower_layer_normalization(lowering: Lowering, node: ir.Node) -> None:
    """Mean and variance over the last axes, in seven operators."""
    held = lowering.stored(node.inputs[0])
    shape, name = lowering.program.tensors[held.index].shape, name_of(node)
    rank = len(shape)
    first = node.attributes.get_int("axis", -1) % rank
    axes = lowering.integers(*sorted(held.layout.index(axis) for axis in range(first, rank)))
    reduced = tuple(1 if held.layout[i] >= first else size for i, size in enumerate(shape))

    def mean(source: int, suffix: str) -> int:
        target = lowering.program.add_tensor(f"{name}.{suffix}", reduced, np.float32)
        lowering.program.add_operator("MEAN", [source, axes], [target], keepDims=True)
        return target

    centered = lowering.apply("SUB", [held.index, mean(held.index, "mean")], shape, f"{name}.centered")
    square = lowering.apply("MUL", [centered, centered], shape, f"{name}.square")
    epsilon = np.asarray([node.attributes.get_float("epsilon", 1e-5)], np.float32)
    variance = [mean(square, "variance"), lowering.constant("constant.epsilon", epsilon)]
    factor = lowering.apply(
        "RSQRT", [lowering.apply("ADD", variance, reduced, f"{name}.sum")], reduced, f"{name}.factor"
    )
    product = ("MUL", [centered, factor])
    for code, index in (("MUL", 1), ("ADD", 2)):
        constant = _constant(lowering, node, index, rank, held.layout)
        if constant is not None:
            done = lowering.apply(*product, shape, f"{name}.{product[0].lower()}{index}")
            product = (code, [done, constant])
    target = lowering.result(node.outputs[0], layout=held.layout)
    lowering.program.add_operator(*product, [target])


def _constant(lowering: Lowering, node: ir.Node, index: int, rank: int, layout: Layout) -> int | None:
    """Scale or bias as stored, None where it has no effect."""
    array: Array | None = qdq.constant(node.inputs[index]) if len(node.inputs) > index else None
    neutral = 1.0 if index == 1 else 0.0
    if array is None or np.all(array == neutral):
        return None
    return lowering.constant(
        f"{node.name}.{'scale' if index == 1 else 'bias'}", broadcast_in_file(array, rank, layout)
    )
