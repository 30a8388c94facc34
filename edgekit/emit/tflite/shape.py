"""Operators that move or combine data: concatenation, reshape, padding, mean over axes, softmax, resize."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.layout import axis_in_file, order_matters, shape_in_file
from edgekit.emit.tflite.lowering import Lowering
from edgekit.emit.tflite.program import Array
from edgekit.errors import UnsupportedError
from edgekit.graph import qdq
from edgekit.graph.values import shape_of

__all__ = ["lower_concat", "lower_pad", "lower_reduce_mean", "lower_reshape", "lower_resize", "lower_softmax"]


def lower_concat(lowering: Lowering, node: ir.Node) -> None:
    """CONCATENATION."""
    axis = axis_in_file(node.attributes.get_int("axis", 1), len(shape_of(node.outputs[0])))
    sources = [lowering.operand(value) for value in node.inputs]
    target = lowering.result(node.outputs[0], inherit=sources[0])
    lowering.program.add_operator("CONCATENATION", sources, [target], axis=axis, fusedActivationFunction=0)


def lower_reshape(lowering: Lowering, node: ir.Node) -> None:
    """RESHAPE, where NCHW and NHWC hold the elements in one order."""
    value, source = node.outputs[0], lowering.operand(node.inputs[0])
    shapes = shape_of(node.inputs[0]), shape_of(value)
    if any(order_matters(shape) for shape in shapes):
        raise UnsupportedError(
            f"{node.name} ({node.op_type}): reshaping {shapes[0]} to {shapes[1]} mixes channels and pixels"
        )
    shape = shape_in_file(shapes[1])
    target = lowering.result(value, inherit=source)
    lowering.program.add_operator("RESHAPE", [source, lowering.integers(*shape)], [target], newShape=shape)


def _required(node: ir.Node, position: int) -> Array:
    array = qdq.constant(node.inputs[position]) if len(node.inputs) > position else None
    if array is None:
        raise UnsupportedError(f"{node.name} ({node.op_type}): input {position} must be a constant")
    return array


def lower_pad(lowering: Lowering, node: ir.Node) -> None:
    """PAD with zeros; other modes and values are refused."""
    mode = node.attributes.get_string("mode", "constant")
    fill = qdq.constant(node.inputs[2]) if len(node.inputs) > 2 else None
    if mode != "constant" or (fill is not None and np.any(fill)) or len(node.inputs) > 3:
        raise UnsupportedError(f"{node.name} (Pad): only padding with zeros on all axes can be expressed")
    rank = len(shape_of(node.inputs[0]))
    before, after = _required(node, 1).astype(np.int32).reshape(2, rank).tolist()
    table = np.asarray([shape_in_file(before), shape_in_file(after)], np.int32).T
    if np.any(table < 0):
        raise UnsupportedError(f"{node.name} (Pad): negative padding {before}, {after}")
    source = lowering.operand(node.inputs[0])
    amounts = lowering.program.add_constant(f"{node.name}.amounts", table)
    lowering.program.add_operator(
        "PAD", [source, amounts], [lowering.result(node.outputs[0], inherit=source)]
    )


def lower_reduce_mean(lowering: Lowering, node: ir.Node) -> None:
    """MEAN."""
    rank = len(shape_of(node.inputs[0]))
    axes = [int(axis) % rank for axis in _required(node, 1).reshape(-1)]
    keeps = bool(node.attributes.get_int("keepdims", 1))
    if rank == 4 and not keeps and set(axes) not in ({2, 3}, {1, 2, 3}, {0, 1, 2, 3}):
        raise UnsupportedError(f"{node.name} (ReduceMean): axes {axes} without keepdims mix the layout")
    source, target = lowering.operand(node.inputs[0]), lowering.result(node.outputs[0])
    stored = lowering.integers(*sorted(axis_in_file(axis, rank) for axis in axes))
    lowering.program.add_operator("MEAN", [source, stored], [target], keepDims=keeps)


def lower_softmax(lowering: Lowering, node: ir.Node) -> None:
    """SOFTMAX, over the last axis as stored."""
    rank = len(shape_of(node.inputs[0]))
    if axis_in_file(node.attributes.get_int("axis", -1), rank) != rank - 1:
        raise UnsupportedError(f"{node.name} (Softmax): TFLite's softmax is over channels")
    source, target = lowering.operand(node.inputs[0]), lowering.result(node.outputs[0])
    lowering.program.add_operator("SOFTMAX", [source], [target], beta=1.0)


_RESIZE: dict[tuple[str, str], tuple[str, bool]] = {
    # (mode, coordinates) → operator, half-pixel centres
    ("linear", "half_pixel"): ("RESIZE_BILINEAR", True),
    ("linear", "asymmetric"): ("RESIZE_BILINEAR", False),
    ("nearest", "asymmetric"): ("RESIZE_NEAREST_NEIGHBOR", False),
}


def lower_resize(lowering: Lowering, node: ir.Node) -> None:
    """RESIZE_BILINEAR or RESIZE_NEAREST_NEIGHBOR of an image's height and width."""
    mode = node.attributes.get_string("mode", "nearest")
    coordinates = node.attributes.get_string("coordinate_transformation_mode", "half_pixel")
    shape_in, shape_out = shape_of(node.inputs[0]), shape_of(node.outputs[0])
    rounding = node.attributes.get_string("nearest_mode", "round_prefer_floor")
    is_image = len(shape_in) == 4 and shape_in[:2] == shape_out[:2]
    found = _RESIZE.get((mode or "", coordinates or ""))
    if found is None or not is_image or (mode == "nearest" and rounding != "floor"):
        raise UnsupportedError(
            f"{node.name} (Resize): {mode}, {coordinates}, {rounding} has no TFLite operator"
        )
    code, half_pixel = found
    source = lowering.operand(node.inputs[0])
    size = lowering.integers(*shape_out[2:])
    target = lowering.result(node.outputs[0], inherit=source)
    lowering.program.add_operator(code, [source, size], [target], halfPixelCenters=half_pixel)
