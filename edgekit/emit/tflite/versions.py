"""Operator versions: the lowest that is right, and the oldest runtime that knows it.

A runtime refuses a file that asks for an operator version it does not know, even if it could run the
operator, so each operator gets the lowest version whose semantics it needs. The rules are those of
TensorFlow Lite's ``tools/versioning/op_version.cc``, the runtimes those of its ``runtime_version.cc``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from edgekit.emit.tflite.program import Operator, Tensor

__all__ = ["minimum_runtime", "operator_version"]

Rule = Callable[[Operator, list[Tensor], Tensor], int]

INT8, FLOAT16, FLOAT32 = np.dtype(np.int8), np.dtype(np.float16), np.dtype(np.float32)
INT16 = np.dtype(np.int16)


def _is_hybrid(inputs: list[Tensor]) -> bool:
    return inputs[0].dtype == FLOAT32 and inputs[1].dtype == INT8


def _conv_2d(operator: Operator, inputs: list[Tensor], output: Tensor) -> int:
    if inputs[0].shape[3] != inputs[1].shape[3]:
        return 6  # grouped
    if _is_hybrid(inputs):
        return 5 if inputs[1].per_channel else 2
    return {INT8: 3, INT16: 4}.get(inputs[0].dtype, 1)


def _depthwise_conv_2d(operator: Operator, inputs: list[Tensor], output: Tensor) -> int:
    if _is_hybrid(inputs):
        return 6 if inputs[1].per_channel else 4
    if inputs[0].dtype in (INT8, INT16):
        return 3 if inputs[0].dtype == INT8 else 5
    dilated = any(operator.options.get(f"dilation{side}Factor", 1) != 1 for side in "HW")
    return 2 if dilated else 1


def _fully_connected(operator: Operator, inputs: list[Tensor], output: Tensor) -> int:
    if _is_hybrid(inputs):
        if inputs[1].per_channel:
            return 12
        return 9 if operator.options.get("asymmetricQuantizeInputs") else 3
    return {INT8: 4, INT16: 7}.get(inputs[0].dtype, 1)


def _mul(operator: Operator, inputs: list[Tensor], output: Tensor) -> int:
    if inputs[0].dtype != INT8:
        return 4 if inputs[0].dtype == INT16 else 1
    first, second, result = (tensor.quantization for tensor in (inputs[0], inputs[1], output))
    assert first is not None
    assert second is not None
    assert result is not None
    return 3 if float(first.scale[0]) * float(second.scale[0]) / float(result.scale[0]) >= 1.0 else 2


def _dequantize(operator: Operator, inputs: list[Tensor], output: Tensor) -> int:
    if inputs[0].dtype == INT8 and inputs[0].per_channel:
        return 5
    return {FLOAT16: 3, INT16: 3, INT8: 2}.get(inputs[0].dtype, 1)


def _quantize(operator: Operator, inputs: list[Tensor], output: Tensor) -> int:
    return 2 if output.dtype == INT16 else 1


def _resize(operator: Operator, inputs: list[Tensor], output: Tensor) -> int:
    if inputs[0].dtype == INT16:
        return 4
    if operator.options.get("halfPixelCenters"):
        return 3
    return 2 if inputs[0].dtype == INT8 else 1


def _by_rank(operator: Operator, inputs: list[Tensor], output: Tensor) -> int:
    """Tensors of more than four dimensions came late."""
    rank = len(inputs[0].shape)
    if operator.code == "TRANSPOSE" and rank > 5:
        return 6
    if inputs[0].dtype == INT16:
        return 5 if operator.code == "TRANSPOSE" or rank > 4 else 4
    return 5 if rank > 4 else 2 if inputs[0].dtype == INT8 else 1


def _transpose_conv(operator: Operator, inputs: list[Tensor], output: Tensor) -> int:
    return 4 if operator.options.get("fusedActivationFunction") else 3


_RULES: dict[str, Rule] = {
    "BROADCAST_TO": lambda _operator, _inputs, _output: 2,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "FULLY_CONNECTED": _fully_connected,
    "MUL": _mul,
    "DEQUANTIZE": _dequantize,
    "QUANTIZE": _quantize,
    "RESIZE_BILINEAR": _resize,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "SLICE": _by_rank,
    "TRANSPOSE": _by_rank,
    "TRANSPOSE_CONV": _transpose_conv,
}

_WIDE = {
    **dict.fromkeys(("MAXIMUM", "MINIMUM"), 4),
    **dict.fromkeys(("RESHAPE", "HARD_SWISH"), 1),
    "LEAKY_RELU": 2,
    "SUB": 5,
}
"""Versions with int16 activations; the others' is 3."""

# These have one version whatever the type.
_ALWAYS_FIRST = {
    *(
        "DIV",
        "ELU",
        "HARD_SWISH",
        "LEAKY_RELU",
        "PRELU",
        "RELU_0_TO_1",
        "RELU_N1_TO_1",
        "RESHAPE",
    ),
}

_RUNTIMES: dict[str, tuple[str, ...]] = {
    # the first runtime that knows version 1, 2, 3 …
    "ABS": ("1.13.1",),
    "ADD": ("1.5.0", "1.14.0", "2.4.0"),
    "ARG_MAX": ("1.9.0", "1.14.0"),
    "ARG_MIN": ("1.9.0", "1.14.0"),
    "AVERAGE_POOL_2D": ("1.5.0", "1.14.0", "2.3.0"),
    "BATCH_MATMUL": ("2.3.0", "2.3.0"),
    "BROADCAST_TO": ("2.5.0", "2.5.0"),
    "CEIL": ("1.14.0",),
    "CONCATENATION": ("1.5.0", "1.14.0", "2.3.0"),
    "CONV_2D": ("1.5.0", "1.14.0", "1.14.0", "2.3.0", "2.4.0", "2.9.0"),
    "COS": ("1.14.0",),
    "DEPTHWISE_CONV_2D": ("1.5.0", "1.12.0", "1.14.0", "2.2.0", "2.3.0", "2.3.0"),
    "DEPTH_TO_SPACE": ("2.1.0", "2.5.0"),
    "DEQUANTIZE": ("1.13.1", "1.14.0", "1.15.0", "2.2.0", "2.7.0"),
    "DIV": ("1.6.0",),
    "ELU": ("1.14.0",),
    "EQUAL": ("1.14.0", "1.14.0"),
    "EXP": ("1.7.0", "2.12.0"),
    "FLOOR": ("1.9.0",),
    "FULLY_CONNECTED": (
        *("1.5.0", "1.10.0", "1.14.0", "1.14.0", "2.0.0", "2.1.0"),
        *("2.3.0", "2.3.0", "2.3.0", "2.11.0", "2.15.0", "2.17.0"),
    ),
    "GATHER": ("1.6.0", "1.14.0"),
    "GELU": ("2.9.0", "2.9.0"),
    "GREATER": ("1.14.0", "1.14.0"),
    "GREATER_EQUAL": ("1.14.0", "1.14.0"),
    "HARD_SWISH": ("1.15.0",),
    "LEAKY_RELU": ("1.13.1", "2.3.0"),
    "LESS": ("1.14.0", "1.14.0"),
    "LESS_EQUAL": ("1.14.0", "1.14.0"),
    "LOCAL_RESPONSE_NORMALIZATION": ("1.5.0",),
    "LOG": ("1.14.0", "2.15.0"),
    "LOGICAL_AND": ("1.11.0",),
    "LOGICAL_NOT": ("1.11.0",),
    "LOGICAL_OR": ("1.11.0",),
    "LOGISTIC": ("1.14.0", "1.14.0", "2.3.0"),
    "LOG_SOFTMAX": ("1.8.0", "1.14.0"),
    "MAXIMUM": ("1.14.0", "1.14.0", "2.3.0", "2.3.0"),
    "MAX_POOL_2D": ("1.5.0", "1.14.0", "2.3.0"),
    "MEAN": ("1.6.0", "1.14.0", "2.4.0"),
    "MINIMUM": ("1.14.0", "1.14.0", "2.3.0", "2.3.0"),
    "MIRROR_PAD": ("1.13.1", "2.3.0"),
    "MUL": ("1.5.0", "1.14.0", "1.15.0", "2.3.0"),
    "NEG": ("1.9.0",),
    "PAD": ("1.5.0", "1.14.0", "2.4.0"),
    "PADV2": ("1.9.0", "1.14.0", "2.4.0"),
    "POW": ("1.10.0",),
    "PRELU": ("1.8.0",),
    "QUANTIZE": ("1.14.0", "1.15.0"),
    "REDUCE_MAX": ("1.11.0", "1.14.0", "2.5.0"),
    "REDUCE_MIN": ("1.11.0", "1.14.0", "2.5.0"),
    "REDUCE_PROD": ("1.11.0", "2.6.0"),
    "RELU": ("1.5.0", "2.1.0", "2.5.0"),
    "RELU6": ("1.5.0", "1.14.0", "2.5.0"),
    "RELU_0_TO_1": ("2.10.0",),
    "RELU_N1_TO_1": ("1.5.0",),
    "RESHAPE": ("1.5.0",),
    "RESIZE_BILINEAR": ("1.7.0", "1.14.0", "2.2.0", "2.5.0"),
    "RESIZE_NEAREST_NEIGHBOR": ("1.13.1", "1.14.0", "2.3.0", "2.4.0"),
    "ROUND": ("1.14.0",),
    "RSQRT": ("1.10.0",),
    "SELECT_V2": ("2.2.0",),
    "SIGN": ("2.12.0",),
    "SIN": ("1.9.0",),
    "SLICE": ("1.14.0", "1.14.0", "1.14.0", "2.4.0", "2.5.0"),
    "SOFTMAX": ("1.5.0", "1.14.0", "2.3.0"),
    "SPACE_TO_DEPTH": ("1.10.0", "1.14.0"),
    "SQRT": ("1.10.0",),
    "STRIDED_SLICE": ("1.6.0", "1.14.0", "2.1.0", "2.2.0"),
    "SUB": ("1.6.0", "1.14.0", "2.3.0", "2.4.0", "2.4.0"),
    "SUM": ("1.10.0", "1.15.0"),
    "TANH": ("1.14.0", "1.14.0", "2.3.0"),
    "TILE": ("1.10.1", "2.2.0"),
    "TRANSPOSE": ("1.6.0", "1.14.0", "1.15.0", "2.3.0", "2.4.0", "2.12.0"),
    "TRANSPOSE_CONV": ("1.9.0", "2.2.0", "2.3.0", "2.13.0"),
}


def operator_version(operator: Operator, tensors: list[Tensor]) -> int:
    """Lowest version of ``operator`` that means what it says, for the types of its tensors."""
    inputs = [tensors[index] for index in operator.inputs]
    if operator.code in _RULES:
        return _RULES[operator.code](operator, inputs, tensors[operator.outputs[0]])
    if inputs[0].dtype == INT16:
        return _WIDE.get(operator.code, 3)
    if operator.code in _ALWAYS_FIRST:
        return 1
    return 2 if inputs[0].dtype == INT8 else 1


def minimum_runtime(versions: Iterable[tuple[str, int]]) -> str:
    """Oldest TensorFlow Lite release that knows every (operator, version), for example ``"2.3.0"``."""
    releases = [_RUNTIMES[code][version - 1] for code, version in versions]
    return max(releases, key=lambda release: tuple(int(part) for part in release.split(".")), default="1.5.0")
