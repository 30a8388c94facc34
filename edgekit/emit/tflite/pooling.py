"""Pools. TFLite's SAME leaves padded elements out of maxima and averages; an explicit PAD counts them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.activation import absorb_activation
from edgekit.emit.tflite.lowering import Lowering, name_of
from edgekit.emit.tflite.padding import Window, pad_explicitly
from edgekit.emit.tflite.program import Option
from edgekit.emit.tflite.schema import schema
from edgekit.errors import UnsupportedError

__all__ = ["lower_average_pool", "lower_global_average_pool", "lower_max_pool"]

_NON_NEGATIVE = {"Relu", "Sigmoid", "HardSigmoid", "Softmax"}
_KEEPS_SIGN = {"MaxPool", "AveragePool", "Concat", "QuantizeLinear", "DequantizeLinear"}


def _is_non_negative(value: ir.Value | None) -> bool:
    """Whether no element of ``value`` can be below zero, from the operators that made it."""
    node = value.producer() if value is not None else None
    if node is None:
        return False
    if node.op_type == "Clip":
        low = node.inputs[1].const_value if len(node.inputs) > 1 and node.inputs[1] is not None else None
        return low is not None and float(low.numpy().reshape(-1)[0]) >= 0
    if node.op_type in _KEEPS_SIGN:
        inputs = node.inputs if node.op_type == "Concat" else node.inputs[:1]
        return all(_is_non_negative(value) for value in inputs)
    return node.op_type in _NON_NEGATIVE


def _lowest(lowering: Lowering, source: int) -> int:
    """A constant that no element of ``source`` is below."""
    tensor = lowering.program.tensors[source]
    limits = np.finfo(np.float32).min if tensor.quantization is None else -128
    data = np.asarray([limits], tensor.dtype)
    return lowering.program.add_constant("constant.lowest", data, tensor.quantization)


def _pool(lowering: Lowering, node: ir.Node, code: str, source: int, window: Window, scheme: int) -> None:
    value, fused = node.outputs[0], int(schema.ActivationFunctionType.NONE)
    if not lowering.integer:  # an int8 pool keeps its scale, an activation's output has one of its own
        fused, value = absorb_activation(lowering, value)
    options: dict[str, Option] = {
        "padding": scheme,
        "strideH": window.height.stride,
        "strideW": window.width.stride,
        "filterHeight": window.height.kernel,
        "filterWidth": window.width.kernel,
        "fusedActivationFunction": fused,
    }
    target = lowering.result(value, inherit=source)
    lowering.program.add_operator(code, [source], [target], **options)


def lower_max_pool(lowering: Lowering, node: ir.Node) -> None:
    """MAX_POOL_2D; explicit padding is zero where nothing is negative, else the lowest number."""
    source, window = lowering.operand(node.inputs[0]), Window.of(node)
    if (window.height.dilation, window.width.dilation) != (1, 1):
        raise UnsupportedError(f"{node.name} (MaxPool): TFLite has no dilated pool")
    scheme = window.scheme
    if scheme is None:
        lowest = None if _is_non_negative(node.inputs[0]) else _lowest(lowering, source)
        source = pad_explicitly(lowering, source, window, name_of(node), lowest)
        scheme = int(schema.Padding.VALID)
    _pool(lowering, node, "MAX_POOL_2D", source, window, scheme)


def lower_average_pool(lowering: Lowering, node: ir.Node) -> None:
    """AVERAGE_POOL_2D whose divisor counts padded elements exactly when the graph's does."""
    source, window = lowering.operand(node.inputs[0]), Window.of(node)
    scheme, counts_padding = window.scheme, node.attributes.get_int("count_include_pad", 0) == 1
    if scheme is not None and (scheme == schema.Padding.VALID or not counts_padding):
        _pool(lowering, node, "AVERAGE_POOL_2D", source, window, scheme)
        return
    if not counts_padding or node.attributes.get_int("ceil_mode", 0) == 1:
        raise UnsupportedError(
            f"{node.name} (AveragePool): pads {window.explicit} outside the divisor are not TFLite's SAME"
        )
    source = pad_explicitly(lowering, source, window, name_of(node))
    _pool(lowering, node, "AVERAGE_POOL_2D", source, window, int(schema.Padding.VALID))


def lower_global_average_pool(lowering: Lowering, node: ir.Node) -> None:
    """MEAN over height and width: its int8 output may have a scale of its own, an average pool's may not."""
    source = lowering.operand(node.inputs[0])
    target = lowering.result(node.outputs[0])
    lowering.program.add_operator("MEAN", [source, lowering.integers(1, 2)], [target], keepDims=True)
