"""``QuantizeLinear`` and ``DequantizeLinear``: names for the integers that tensors already hold."""

from __future__ import annotations

import onnx_ir as ir

from edgekit.emit.tflite.lowering import Lowering, name_of, parameters_of
from edgekit.graph import qdq

__all__ = ["lower_dequantize", "lower_quantize"]


def lower_quantize(lowering: Lowering, node: ir.Node) -> None:
    """Nothing where the operator before wrote these parameters; a QUANTIZE where the scale changes."""
    value, result = node.inputs[0], node.outputs[0]
    held = lowering.stored(value)
    parameters = parameters_of(node)
    tensor = lowering.program.tensors[held.index]
    if parameters.same_as(tensor.quantization):
        lowering.bind(result, held.index, held.layout)
        return
    target = lowering.program.add_tensor(name_of(result), tensor.shape, parameters.dtype, parameters)
    lowering.program.add_operator("QUANTIZE", [held.index], [target])
    lowering.bind(result, target, held.layout)


def lower_dequantize(lowering: Lowering, node: ir.Node) -> None:
    """Nothing: readers of an activation take the integers, readers of a constant take it themselves."""
    if qdq.constant(node.inputs[0]) is None:
        held = lowering.stored(node.inputs[0])
        lowering.bind(node.outputs[0], held.index, held.layout)
