"""Pixels into channels and back."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from edgekit.emit.tflite.lowering import Lowering
from edgekit.errors import UnsupportedError

__all__ = ["blocks"]


def blocks(code: str) -> Callable[[Lowering, ir.Node], None]:
    """Lowering of ``DepthToSpace`` and ``SpaceToDepth``, whose blocks are ordered as ONNX's mode DCR."""

    def lower(lowering: Lowering, node: ir.Node) -> None:
        if node.attributes.get_string("mode", "DCR") != "DCR":
            raise UnsupportedError(f"node {node.name!r} ({node.op_type}): a canonical graph has mode DCR")
        source = lowering.operand(node.inputs[0])
        target = lowering.result(node.outputs[0], inherit=source)
        size = node.attributes.get_int("blocksize", 1)
        lowering.program.add_operator(code, [source], [target], blockSize=size)

    return lower
