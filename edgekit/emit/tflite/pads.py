"""``Pad`` by a constant or by reflection. Padding that a convolution or pool takes itself is not here."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.layout import shape_in_file
from edgekit.emit.tflite.lowering import Lowering
from edgekit.emit.tflite.schema import schema
from edgekit.errors import UnsupportedError
from edgekit.graph import qdq
from edgekit.graph.values import shape_of

__all__ = ["lower_pad"]


def lower_pad(lowering: Lowering, node: ir.Node) -> None:
    """PAD with zeros, PADV2 with another number, MIRROR_PAD by reflection."""
    mode = node.attributes.get_string("mode", "constant")
    if mode not in ("constant", "reflect"):
        raise UnsupportedError(f"node {node.name!r} (Pad): mode {mode} has no TFLite operator")
    held = lowering.stored(node.inputs[0])
    target = lowering.result(node.outputs[0], inherit=held.index, layout=held.layout)
    amounts = _amounts(lowering, node, held.layout)
    if mode == "reflect":
        reflect = int(schema.MirrorPadMode.REFLECT)
        lowering.program.add_operator("MIRROR_PAD", [held.index, amounts], [target], mode=reflect)
        return
    fill = qdq.constant(node.inputs[2]) if len(node.inputs) > 2 else None
    if fill is None or not np.any(fill):
        lowering.program.add_operator("PAD", [held.index, amounts], [target])
    else:
        number = _fill(lowering, target, float(fill.reshape(-1)[0]))
        lowering.program.add_operator("PADV2", [held.index, amounts, number], [target])


def _amounts(lowering: Lowering, node: ir.Node, layout: tuple[int, ...]) -> int:
    pads = qdq.constant(node.inputs[1])
    if pads is None or np.any(pads < 0):  # type: ignore[operator]  # pads are integers
        raise UnsupportedError(f"node {node.name!r} (Pad): its amounts must be constant and not negative")
    rank = len(shape_of(node.inputs[0]))
    before, after = pads.astype(np.int32).reshape(2, rank).tolist()
    table = np.asarray([shape_in_file(before, layout), shape_in_file(after, layout)], np.int32).T
    return lowering.constant(f"{node.name}.amounts", np.ascontiguousarray(table))


def _fill(lowering: Lowering, target: int, number: float) -> int:
    """The number in the type and scale of the padded tensor."""
    tensor = lowering.program.tensors[target]
    if tensor.quantization is None:
        return lowering.constant("constant.fill", np.asarray([number], np.float32))
    limits = np.iinfo(tensor.dtype.name)
    steps = round(number / float(tensor.quantization.scale[0])) + tensor.quantization.zero_point
    data = np.asarray([min(max(steps, limits.min), limits.max)], tensor.dtype)
    return lowering.program.add_constant("constant.fill", data, tensor.quantization)
