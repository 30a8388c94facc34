"""``Gemm`` → FULLY_CONNECTED, and the ``Flatten`` before it.

FULLY_CONNECTED flattens its input by itself, so a ``Flatten`` that only feeds classifiers costs nothing.
It flattens NHWC where the graph flattened NCHW; the weight's columns are permuted to match.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.activation import absorb_activation
from edgekit.emit.tflite.layout import order_matters
from edgekit.emit.tflite.lowering import Lowering, name_of
from edgekit.emit.tflite.program import Array, Option
from edgekit.emit.tflite.weights import lower_bias, lower_weight
from edgekit.graph.values import shape_of

__all__ = ["lower_flatten", "lower_gemm"]


def _feeds_only_classifiers(value: ir.Value) -> bool:
    """Whether every reader, beyond quantization, is a ``Gemm`` that takes ``value`` as its input."""
    if value.is_graph_output() or not value.uses():
        return False
    for node, position in ((use.node, use.idx) for use in value.uses()):
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            if not _feeds_only_classifiers(node.outputs[0]):
                return False
        elif node.op_type != "Gemm" or position != 0:
            return False
    return True


def lower_flatten(lowering: Lowering, node: ir.Node) -> None:
    """Nothing before a classifier; else RESHAPE, after a TRANSPOSE where the element order would change."""
    value, source = node.outputs[0], lowering.operand(node.inputs[0])
    if _feeds_only_classifiers(value):
        lowering.bind(value, source)
        return
    shape_in = shape_of(node.inputs[0])
    if order_matters(shape_in):
        target = lowering.intermediate(f"{name_of(node)}.transpose", like=source, shape=shape_in)
        lowering.program.add_operator("TRANSPOSE", [source, lowering.integers(0, 3, 1, 2)], [target])
        source = target
    shape = shape_of(value)
    target = lowering.result(value, inherit=source)
    lowering.program.add_operator("RESHAPE", [source, lowering.integers(*shape)], [target], newShape=shape)


def lower_gemm(lowering: Lowering, node: ir.Node) -> None:
    """A classifier, its weight columns in the order in which the input is stored."""
    source = lowering.operand(node.inputs[0])
    stored = lowering.program.tensors[source].shape

    def arrange(weights: Array) -> Array:
        if len(stored) != 4:
            return weights
        _, height, width, channels = stored
        columns = weights.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
        return np.ascontiguousarray(columns.reshape(weights.shape))

    weight = lower_weight(lowering, node, node.inputs[1], arrange, axis=0)
    bias = lower_bias(lowering, node, node.inputs[2])
    options: dict[str, Option] = {}
    options["fusedActivationFunction"], value = absorb_activation(lowering, node.outputs[0])
    if lowering.precision == "dynamic":
        options["asymmetricQuantizeInputs"] = True
    target = lowering.result(value)
    lowering.program.add_operator("FULLY_CONNECTED", [source, weight, bias], [target], **options)
