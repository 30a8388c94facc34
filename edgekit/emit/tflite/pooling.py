"""Pools. TFLite's SAME leaves padded elements out of maxima and averages; an explicit PAD counts them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit.emit.tflite.activation import absorb_activation
from edgekit.emit.tflite.dilated import lower_dilated_max
from edgekit.emit.tflite.lowering import Lowering, name_of
from edgekit.emit.tflite.padding import Side, Window, pad_explicitly
from edgekit.emit.tflite.program import Option, Quantization
from edgekit.emit.tflite.schema import schema
from edgekit.errors import UnsupportedError

__all__ = ["lower_average_pool", "lower_global_average_pool", "lower_global_max_pool", "lower_max_pool"]

_INT8_LIMIT = 127
# Factors such as 9/4 make products that lie exactly between two integers, which kernels for Arm round up and
# those for x86 to even. So little beside it, no product does.
_OFF_HALVES = 1 + 2**-16
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


def _repeat_borders(lowering: Lowering, source: int, window: Window, name: str) -> int:
    """``source`` with its border rows and columns repeated into the padding.

    A maximum does not change by what it has seen already, and every window that reaches into the padding
    has seen the border. Delegates take this, and no padding by the lowest number.
    """
    for axis, side in ((1, window.height), (2, window.width)):
        shape = lowering.program.tensors[source].shape
        first = _line(lowering, source, axis, 0) if side.before else source
        last = _line(lowering, source, axis, shape[axis] - 1) if side.after else source
        parts = [first] * side.before + [source] + [last] * side.after
        if len(parts) == 1:
            continue
        size = shape[axis] + side.before + side.after
        padded = (*shape[:axis], size, *shape[axis + 1 :])
        target = lowering.intermediate(f"{name}.pad", source, padded)
        options: dict[str, Option] = {"axis": axis, "fusedActivationFunction": 0}
        lowering.program.add_operator("CONCATENATION", parts, [target], **options)
        source = target
    return source


def _line(lowering: Lowering, source: int, axis: int, position: int) -> int:
    """One row or column of an image."""
    shape = lowering.program.tensors[source].shape
    begin = [position if i == axis else 0 for i in range(4)]
    size = [1 if i == axis else dim for i, dim in enumerate(shape)]
    target = lowering.intermediate(f"{lowering.program.tensors[source].name}.line", source, tuple(size))
    bounds = [lowering.integers(*begin), lowering.integers(*size)]
    lowering.program.add_operator("SLICE", [source, *bounds], [target])
    return target


def _pool(lowering: Lowering, node: ir.Node, code: str, source: int, window: Window, scheme: int) -> None:
    value, fused = node.outputs[0], int(schema.ActivationFunctionType.NONE)
    if not lowering.integer:  # an int8 pool keeps its scale, an activation's output has one of its own
        fused, value = absorb_activation(lowering, value)
    target = lowering.result(value, inherit=source)
    options = {**_window_options(window, fused), "padding": scheme}
    lowering.program.add_operator(code, [source], [target], **options)


def _window_options(window: Window, fused: int) -> dict[str, Option]:
    return {
        "padding": int(schema.Padding.VALID),
        "strideH": window.height.stride,
        "strideW": window.width.stride,
        "filterHeight": window.height.kernel,
        "filterWidth": window.width.kernel,
        "fusedActivationFunction": fused,
    }


def lower_max_pool(lowering: Lowering, node: ir.Node) -> None:
    """MAX_POOL_2D; explicit padding is zero where nothing is negative, else repeats the border.

    Dilated windows are maxima of strided slices.
    """
    source, window = lowering.operand(node.inputs[0]), Window.of(node)
    if (window.height.dilation, window.width.dilation) != (1, 1):
        lower_dilated_max(lowering, node, source, window)
        return
    scheme = window.scheme
    if scheme is None:
        pad = pad_explicitly if _is_non_negative(node.inputs[0]) else _repeat_borders
        source = pad(lowering, source, window, name_of(node))
        scheme = int(schema.Padding.VALID)
    _pool(lowering, node, "MAX_POOL_2D", source, window, scheme)


def lower_average_pool(lowering: Lowering, node: ir.Node) -> None:
    """AVERAGE_POOL_2D whose divisor counts padded elements exactly when the graph's does."""
    source, window = lowering.operand(node.inputs[0]), Window.of(node)
    if "dilations" in node.attributes and (window.height.dilation, window.width.dilation) != (1, 1):
        raise UnsupportedError(f"node {node.name!r} (AveragePool): TFLite has no dilated pool")
    scheme, counts_padding = window.scheme, node.attributes.get_int("count_include_pad", 0) == 1
    single = (window.height.kernel, window.width.kernel) == (1, 1)
    is_padded = scheme != schema.Padding.VALID
    if lowering.integer or (single and not is_padded):
        _average_by_convolution(lowering, node, source, window, weighs=is_padded and not counts_padding)
    elif scheme is not None and not (is_padded and counts_padding):
        _pool(lowering, node, "AVERAGE_POOL_2D", source, window, scheme)
    elif counts_padding:
        padded = pad_explicitly(lowering, source, window, name_of(node))
        _pool(lowering, node, "AVERAGE_POOL_2D", padded, window, int(schema.Padding.VALID))
    else:
        padded = pad_explicitly(lowering, source, window, name_of(node))
        shape = _window_shape(lowering, padded, window)
        pooled = lowering.intermediate(f"{name_of(node)}.sum", padded, shape)
        options = _window_options(window, 0)
        lowering.program.add_operator("AVERAGE_POOL_2D", [padded], [pooled], **options)
        _weigh(lowering, node, pooled, window)


def _average_by_convolution(
    lowering: Lowering, node: ir.Node, source: int, window: Window, weighs: bool
) -> None:
    """A depthwise convolution by equal weights.

    XNNPACK has no int8 average pool, and none of single pixels. Padding is of zeros, which count.
    """
    channels = lowering.program.tensors[source].shape[3]
    weight, bias = _equal_weights(lowering, source, window, channels)
    scheme = window.scheme
    if scheme is None:
        source = pad_explicitly(lowering, source, window, name_of(node))
        scheme = int(schema.Padding.VALID)
    options: dict[str, Option] = {
        "padding": scheme,
        "strideH": window.height.stride,
        "strideW": window.width.stride,
        "depthMultiplier": 1,
    }
    if weighs:
        shape = _window_shape(lowering, source, window)
        target = lowering.intermediate(f"{name_of(node)}.sum", source, shape)
    else:
        target = lowering.result(node.outputs[0], inherit=source)
    lowering.program.add_operator("DEPTHWISE_CONV_2D", [source, weight, bias], [target], **options)
    if weighs:
        _weigh(lowering, node, target, window)


def _equal_weights(lowering: Lowering, source: int, window: Window, channels: int) -> tuple[int, int]:
    """One over the window's size everywhere, and no bias."""
    shape = (1, window.height.kernel, window.width.kernel, channels)
    part, zeros = 1 / (shape[1] * shape[2]), np.zeros(channels)
    if not lowering.integer:
        weight = lowering.constant("constant.part", np.full(shape, part, np.float32))
        return weight, lowering.constant("constant.none", zeros.astype(np.float32))
    scale = Quantization(np.full(channels, part / _INT8_LIMIT, np.float32), 0, axis=3)
    product = Quantization(lowering.quantization(source).scale * scale.scale)
    weight = lowering.program.add_constant("constant.part", np.full(shape, _INT8_LIMIT, np.int8), scale)
    return weight, lowering.program.add_constant("constant.none", zeros.astype(np.int32), product)


def _window_shape(lowering: Lowering, source: int, window: Window) -> tuple[int, ...]:
    shape = lowering.program.tensors[source].shape
    return (shape[0], window.height.output_size, window.width.output_size, shape[3])


def _weigh(lowering: Lowering, node: ir.Node, pooled: int, window: Window) -> None:
    """Averages that counted padding, times window size / number of real elements in the window."""
    factors = np.outer(_real_elements(window.height), _real_elements(window.width))
    factors = (window.height.kernel * window.width.kernel / factors).astype(np.float32)
    weights = _weights(lowering, factors.reshape(1, *factors.shape, 1))
    target = lowering.result(node.outputs[0], inherit=pooled)
    lowering.program.add_operator("MUL", [pooled, weights], [target], fusedActivationFunction=0)


def _real_elements(side: Side) -> npt.NDArray[np.float32]:
    """For each window the number of its elements that lie inside the image."""
    starts = np.arange(side.output_size) * side.stride - side.before
    ends = np.minimum(starts + side.kernel, side.input_size)
    return np.asarray(ends - np.maximum(starts, 0), np.float32)


def _weights(lowering: Lowering, factors: npt.NDArray[np.float32]) -> int:
    if not lowering.integer:
        return lowering.constant("constant.factors", factors)
    scale = float(factors.max()) / _INT8_LIMIT * _OFF_HALVES
    steps = np.round(factors / scale).astype(np.int8)
    return lowering.program.add_constant("constant.factors", steps, Quantization.per_tensor(scale, 0))


def lower_global_average_pool(lowering: Lowering, node: ir.Node) -> None:
    """MEAN over height and width: its int8 output may have a scale of its own, an average pool's may not."""
    source = lowering.operand(node.inputs[0])
    target = lowering.result(node.outputs[0])
    lowering.program.add_operator("MEAN", [source, lowering.integers(1, 2)], [target], keepDims=True)


def lower_global_max_pool(lowering: Lowering, node: ir.Node) -> None:
    """REDUCE_MAX over height and width."""
    source = lowering.operand(node.inputs[0])
    target = lowering.result(node.outputs[0], inherit=source)
    lowering.program.add_operator("REDUCE_MAX", [source, lowering.integers(1, 2)], [target], keepDims=True)
