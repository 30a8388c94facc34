"""The operators that TensorFlow Lite Micro has kernels for."""

from __future__ import annotations

from edgekit.target import Target

__all__ = ["MICRO_OPERATORS", "operators_of"]

# tensorflow/tflite-micro, python/tflite_micro/python_ops_resolver.cc: the built-in ones, by their codes in
# the file's schema. It takes any version of them.
_CODES = """
    ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_TO_SPACE_ND BROADCAST_ARGS
    BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM DEPTHWISE_CONV_2D DEPTH_TO_SPACE
    DEQUANTIZE DIV ELU EQUAL EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER
    GATHER_ND GREATER GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL
    LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM
    MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_MAX RELU RELU6
    RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX
    SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE
    SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK VAR_HANDLE WHILE
    ZEROS_LIKE
"""

MICRO_OPERATORS: frozenset[str] = frozenset(_CODES.split())
"""TFLite's codes. A program registers those that its network needs."""


def operators_of(target: Target) -> frozenset[str] | None:
    """The only operators that ``target`` takes, or None where there is no such list."""
    if target.operators is not None:
        return frozenset(target.operators)
    return MICRO_OPERATORS if target.runs_on == "tflite-micro" else None
