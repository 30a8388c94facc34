"""Softmax and its logarithm, over the axis that is stored last."""

from __future__ import annotations

import onnx_ir as ir

from edgekit.emit.tflite.layout import Layout
from edgekit.emit.tflite.lowering import Lowering
from edgekit.graph.values import shape_of

__all__ = ["lower_log_softmax", "lower_softmax"]


def _with_last(layout: Layout, axis: int) -> Layout:
    """``layout``, or the same with ``axis`` moved to its end."""
    return layout if layout[-1] == axis else (*(other for other in layout if other != axis), axis)


def _operand(lowering: Lowering, node: ir.Node) -> tuple[int, Layout]:
    rank = len(shape_of(node.inputs[0]))
    axis = node.attributes.get_int("axis", -1) % rank
    layout = _with_last(lowering.stored(node.inputs[0]).layout, axis)
    return lowering.operand(node.inputs[0], layout), layout


def lower_softmax(lowering: Lowering, node: ir.Node) -> None:
    """SOFTMAX."""
    source, layout = _operand(lowering, node)
    target = lowering.result(node.outputs[0], layout=layout)
    lowering.program.add_operator("SOFTMAX", [source], [target], beta=1.0)


def lower_log_softmax(lowering: Lowering, node: ir.Node) -> None:
    """LOG_SOFTMAX."""
    source, layout = _operand(lowering, node)
    lowering.program.add_operator("LOG_SOFTMAX", [source], [lowering.result(node.outputs[0], layout=layout)])
