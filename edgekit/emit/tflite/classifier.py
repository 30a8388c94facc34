"""``Gemm`` → FULLY_CONNECTED, and the ``Flatten`` before it.

A ``Flatten`` that only feeds classifiers flattens NHWC where the graph flattened NCHW; the weight's columns
are permuted to match. After a pooling to one pixel there is nothing to flatten. A larger image is reshaped:
FULLY_CONNECTED would flatten it by itself, but LiteRT's GPU accelerator answers wrongly then.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.activation import absorb_activation
from edgekit.emit.tflite.lowering import Lowering
from edgekit.emit.tflite.program import Array, Option
from edgekit.emit.tflite.shape import lower_reshape
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
    """Nothing before a classifier, which arranges its weights instead; else a reshape."""
    value, source = node.outputs[0], node.inputs[0]
    if _feeds_only_classifiers(value) and _keeps_rows(lowering, source):
        held = lowering.stored(source)
        lowering.bind(value, held.index)
        assert source is not None
        lowering.flattened[value] = source
        return
    lower_reshape(lowering, node)


def _keeps_rows(lowering: Lowering, source: ir.Value | None) -> bool:
    """Whether the flattened value's first dimension is stored first."""
    return lowering.stored(source).layout[0] == 0


def _flattened(lowering: Lowering, value: ir.Value | None) -> ir.Value | None:
    """What a classifier's input was before it was flattened, through quantization."""
    while value is not None:
        if value in lowering.flattened:
            return lowering.flattened[value]
        producer = value.producer()
        if producer is None or producer.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            return None
        value = producer.inputs[0]
    return None


def _rows(lowering: Lowering, value: ir.Value | None, whole: ir.Value) -> int:
    """The tensor held for a flattened value, with one row for each image unless it has one pixel anyway."""
    held = lowering.stored(value).index
    images, channels, *sizes = shape_of(whole)
    return held if math.prod(sizes) == 1 else lowering.reshaped(held, (images, channels * math.prod(sizes)))


def lower_gemm(lowering: Lowering, node: ir.Node) -> None:
    """A classifier, its weight columns in the order in which the input is stored."""
    whole = _flattened(lowering, node.inputs[0])
    source = lowering.operand(node.inputs[0]) if whole is None else _rows(lowering, node.inputs[0], whole)

    def arrange(weights: Array) -> Array:
        if whole is None:
            return weights
        columns = weights.reshape(-1, *shape_of(whole)[1:]).transpose(lowering.stored(whole).layout)
        return np.ascontiguousarray(columns.reshape(weights.shape))

    weight = lower_weight(lowering, node, node.inputs[1], arrange, axis=0)
    bias = lower_bias(lowering, node, node.inputs[2])
    options: dict[str, Option] = {}
    options["fusedActivationFunction"], value = absorb_activation(lowering, node.outputs[0])
    if lowering.precision == "dynamic":
        options["asymmetricQuantizeInputs"] = True
    target = lowering.result(value)
    lowering.program.add_operator("FULLY_CONNECTED", [source, weight, bias], [target], **options)
