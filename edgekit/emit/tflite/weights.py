"""Weights and biases in each precision, rearranged to TFLite's order.

- fp32: as they are.
- fp16: half-precision weights behind a DEQUANTIZE, which runtimes fold when they load the file. Biases
  stay float32: they are small, and each DEQUANTIZE would cost more bytes than it saves.
- int8: the graph's integers and scales.
- weight-only: int8 weights, one scale for each output channel, behind a DEQUANTIZE as in fp16.
- dynamic: int8 weights by symmetric abs-max per output channel; the runtime quantizes activations.
  Depthwise and grouped convolutions stay float and are stored as in fp16: no delegate takes their hybrid
  kernels, and they hold few of a network's weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit.emit.renderings.weights import symmetric_int8
from edgekit.emit.tflite.lowering import Lowering, name_of
from edgekit.emit.tflite.program import Array, Quantization
from edgekit.errors import CheckError, UnsupportedError
from edgekit.graph import qdq

__all__ = ["Arrange", "lower_bias", "lower_weight"]

Arrange = Callable[[Array], Array]

_FLOAT16_MAX = float(np.finfo(np.float16).max)
_INT8_LIMIT = 127  # -128 would overflow the symmetric range that int8 kernels multiply in


def _float_constant(node: ir.Node, value: ir.Value | None) -> npt.NDArray[np.float32]:
    array = qdq.constant(value)
    if array is None:
        raise UnsupportedError(f"{node.name} ({node.op_type}): TFLite needs constant weights and a bias")
    return array.astype(np.float32)


def _integer_constant(node: ir.Node, value: ir.Value | None) -> qdq.QuantizedTensor:
    found = qdq.dequantized_constant(value)
    if found is None or found.values is None:
        raise CheckError(f"{node.name} ({node.op_type}) has weights or a bias that are not quantized")
    return found


def _half(lowering: Lowering, name: str, weights: npt.NDArray[np.float32]) -> int:
    if np.abs(weights).max(initial=0.0) > _FLOAT16_MAX:
        raise CheckError(f"{name} holds values beyond float16's {_FLOAT16_MAX:g}", hint="export with fp32")
    program = lowering.program
    stored = program.add_constant(f"{name}.half", weights.astype(np.float16))
    target = program.add_tensor(name, weights.shape, np.float32)
    program.add_operator("DEQUANTIZE", [stored], [target])
    return target


def _compressed(lowering: Lowering, name: str, weights: npt.NDArray[np.float32], axis: int) -> int:
    program = lowering.program
    integers, scales = symmetric_int8(weights, axis)
    stored = program.add_constant(f"{name}.int8", integers, Quantization(scales.reshape(-1), axis=axis))
    target = program.add_tensor(name, weights.shape, np.float32)
    program.add_operator("DEQUANTIZE", [stored], [target])
    return target


def _dynamic(lowering: Lowering, name: str, weights: npt.NDArray[np.float32], axis: int) -> int:
    # Classifiers have one scale: FULLY_CONNECTED with one a channel needs a runtime of 2024.
    others = tuple(i for i in range(weights.ndim) if i != axis or weights.ndim == 2)
    peaks = np.abs(weights).max(axis=others, keepdims=True)
    scales = np.where(peaks > 0, peaks / np.float32(_INT8_LIMIT), np.float32(1)).astype(np.float32)
    integers = np.clip(np.round(weights / scales), -_INT8_LIMIT, _INT8_LIMIT).astype(np.int8)
    return lowering.program.add_constant(name, integers, Quantization(scales.reshape(-1), axis=axis))


def _integer(lowering: Lowering, node: ir.Node, value: ir.Value | None, arrange: Arrange, axis: int) -> int:
    found = _integer_constant(node, value)
    values = cast(Array, found.values)
    if np.abs(values.astype(np.int32)).max(initial=0) > _INT8_LIMIT:
        raise CheckError(f"{node.name} ({node.op_type}) has weights outside [-127, 127]")
    name = _constant_name(value)
    quantization = Quantization(found.scale.reshape(-1), found.zero_point, axis)
    return lowering.program.add_constant(name, arrange(values), quantization)


def _constant_name(value: ir.Value | None) -> str:
    assert value is not None
    return name_of(value).removesuffix(".dequantized")


def lower_weight(
    lowering: Lowering,
    node: ir.Node,
    value: ir.Value | None,
    arrange: Arrange,
    axis: int,
    has_hybrid: bool = True,
) -> int:
    """Tensor of a weight; ``arrange`` brings it into TFLite's order, where ``axis`` counts output channels.

    ``has_hybrid`` says whether float activations may meet int8 weights in this operator.
    """
    if lowering.integer:
        return _integer(lowering, node, value, arrange, axis)
    name = _constant_name(value)
    weights = arrange(_float_constant(node, value)).astype(np.float32)
    if lowering.precision == "fp32":
        return lowering.program.add_constant(name, weights)
    if lowering.precision == "dynamic" and has_hybrid:
        return _dynamic(lowering, name, weights, axis)
    if lowering.precision == "weight-only":
        return _compressed(lowering, name, weights, axis)
    return _half(lowering, name, weights)


def lower_bias(lowering: Lowering, node: ir.Node, value: ir.Value | None) -> int:
    """Tensor of a bias, float32 ``[channels]``, or int32 with scale = input scale × weight scale.

    Kernels of int16 activations read the same numbers as int64.
    """
    name = _constant_name(value)
    if not lowering.integer:
        return lowering.program.add_constant(name, _float_constant(node, value))
    found = _integer_constant(node, value)
    quantization = Quantization(found.scale.reshape(-1), found.zero_point)
    values = cast(Array, found.values)
    source = qdq.dequantized_from(node.inputs[0])
    if source is not None and source.dtype == ir.DataType.INT16:
        values = values.astype(np.int64)
    return lowering.program.add_constant(name, values, quantization)
