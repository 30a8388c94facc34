"""Products of two computed matrices."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.lowering import Lowering
from edgekit.errors import UnsupportedError
from edgekit.graph import qdq
from edgekit.graph.values import shape_of

__all__ = ["lower_matmul"]


def lower_matmul(lowering: Lowering, node: ir.Node) -> None:
    """BATCH_MATMUL, which takes either matrix transposed."""
    rank = len(shape_of(node.outputs[0]))
    if rank < 2 or any(len(shape_of(value)) != rank for value in node.inputs):
        raise UnsupportedError(
            f"node {node.name!r} (MatMul): a canonical product has operands of one rank, two or more"
        )
    left, adjoint_left = _operand(lowering, node.inputs[0], rank)
    right, adjoint_right = _operand(lowering, node.inputs[1], rank)
    target = lowering.result(node.outputs[0], layout=tuple(range(rank)))
    lowering.program.add_operator(
        "BATCH_MATMUL", [left, right], [target], adjX=adjoint_left, adjY=adjoint_right
    )


def _operand(lowering: Lowering, value: ir.Value | None, rank: int) -> tuple[int, bool]:
    """A matrix, and whether it is stored transposed."""
    plain = tuple(range(rank))
    array = qdq.constant(value)
    if array is not None:
        return lowering.constant("constant.matrix", array.astype(np.float32)), False
    turned = (*plain[:-2], rank - 1, rank - 2)
    if lowering.stored(value).layout == turned:
        return lowering.operand(value, turned), True
    return lowering.operand(value, plain), False
