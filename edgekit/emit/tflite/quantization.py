"""``QuantizeLinear`` and ``DequantizeLinear``: names for the integers that tensors already hold."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.lowering import Lowering, name_of, parameters_of
from edgekit.graph import qdq

__all__ = ["lower_dequantize", "lower_quantize"]


def lower_quantize(lowering: Lowering, node: ir.Node) -> None:
    """Nothing where the operator before wrote these parameters; a QUANTIZE where the scale changes."""
    value, result = node.inputs[0], node.outputs[0]
    source = lowering.operand(value)
    assert value is not None
    parameters = parameters_of(node)
    if parameters.same_as(lowering.program.tensors[source].quantization):
        lowering.bind(result, source)
        return
    shape = lowering.program.tensors[source].shape
    target = lowering.program.add_tensor(name_of(result), shape, np.int8, parameters)
    lowering.program.add_operator("QUANTIZE", [source], [target])
    lowering.bind(result, target)


def lower_dequantize(lowering: Lowering, node: ir.Node) -> None:
    """Nothing: readers of an activation take the integers, readers of a constant take it themselves."""
    if qdq.constant(node.inputs[0]) is None:
        lowering.bind(node.outputs[0], lowering.operand(node.inputs[0]))
