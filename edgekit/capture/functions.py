"""One table each: function, and name of a tensor's method → the nodes that compute it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import onnx_ir as ir
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own convention

from edgekit.capture import lower, spatial
from edgekit.capture.builder import GraphBuilder
from edgekit.capture.lower import Operand, UntraceableError, as_value
from edgekit.graph.values import shape_of

__all__ = ["FUNCTIONS", "METHODS", "Lowering"]

# torch's functions differ in their parameters; each entry checks its own.
Lowering: TypeAlias = Callable[..., Any]


def _elementwise(op_type: str) -> Lowering:
    def rule(builder: GraphBuilder, left: Operand, right: Operand) -> ir.Value:
        return builder.op(op_type, [as_value(builder, left), as_value(builder, right)])

    return rule


def _unary(op_type: str) -> Lowering:
    def rule(builder: GraphBuilder, x: ir.Value, inplace: bool = False) -> ir.Value:
        return builder.op(op_type, [x])

    return rule


def _add(builder: GraphBuilder, left: Operand, right: Operand, alpha: float = 1) -> ir.Value:
    if alpha != 1:
        raise UntraceableError("addition with alpha")
    return builder.op("Add", [as_value(builder, left), as_value(builder, right)])


def _cat(builder: GraphBuilder, tensors: Sequence[Operand], dim: int = 0) -> ir.Value:
    return builder.op("Concat", [as_value(builder, tensor) for tensor in tensors], {"axis": dim})


def _clamp(
    builder: GraphBuilder,
    x: ir.Value,
    min: float | None = None,
    max: float | None = None,
) -> ir.Value:
    if isinstance(min, ir.Value) or isinstance(max, ir.Value):
        raise UntraceableError("clamp by computed bounds")
    return lower.clamp(builder, x, min, max)


def _mean(
    builder: GraphBuilder,
    x: ir.Value,
    dim: int | Sequence[int] | None = None,
    keepdim: bool = False,
    dtype: torch.dtype | None = None,
) -> ir.Value:
    if dtype not in (None, torch.float32):
        raise UntraceableError(f"mean in {dtype}")
    return lower.mean(builder, x, dim, keepdim)


def _softmax(
    builder: GraphBuilder,
    x: ir.Value,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: torch.dtype | None = None,
) -> ir.Value:
    if dim is None or dtype not in (None, torch.float32):
        raise UntraceableError("softmax without an axis or in another dtype")
    return builder.op("Softmax", [x], {"axis": dim})


def _reshape(builder: GraphBuilder, x: ir.Value, *shape: int | Sequence[int]) -> ir.Value:
    target = shape[0] if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    return builder.op("Reshape", [x, builder.ints([_plain_int(dim) for dim in target])], {"allowzero": 1})


def _permute(builder: GraphBuilder, x: ir.Value, *dims: int | Sequence[int]) -> ir.Value:
    order = dims[0] if len(dims) == 1 and isinstance(dims[0], Sequence) else dims
    rank = len(shape_of(x))
    return builder.op("Transpose", [x], {"perm": [_plain_int(dim) % rank for dim in order]})


def _transpose(builder: GraphBuilder, x: ir.Value, dim0: int, dim1: int) -> ir.Value:
    order = list(range(len(shape_of(x))))
    order[dim0], order[dim1] = order[dim1], order[dim0]
    return builder.op("Transpose", [x], {"perm": order})


def _plain_int(value: object) -> int:
    if not isinstance(value, int):
        raise UntraceableError(f"expected a number, got {type(value).__name__}")
    return value


def _size(builder: GraphBuilder, x: ir.Value, dim: int | None = None) -> int | tuple[int, ...]:
    shape = shape_of(x)
    return shape if dim is None else shape[dim]


def _get_attribute(builder: GraphBuilder, x: ir.Value, name: str) -> tuple[int, ...]:
    if name != "shape":
        raise UntraceableError(f"attribute {name!r} of a tensor")
    return shape_of(x)


def _dropout(
    builder: GraphBuilder, x: ir.Value, p: float = 0.5, training: bool = True, inplace: bool = False
) -> ir.Value:
    if training and p:
        raise UntraceableError("dropout in training mode")
    return x


def _batch_norm(
    builder: GraphBuilder,
    x: ir.Value,
    running_mean: torch.Tensor | None,
    running_var: torch.Tensor | None,
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> ir.Value:
    if training:
        raise UntraceableError("batch normalization in training mode")
    return lower.batch_norm(builder, x, running_mean, running_var, weight, bias, eps)


def _max_pool2d(
    builder: GraphBuilder,
    x: ir.Value,
    kernel_size: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> ir.Value:
    if return_indices:
        raise UntraceableError("max pooling that returns indices")
    return lower.max_pool2d(builder, x, kernel_size, stride, padding, dilation, ceil_mode)


def _silu(builder: GraphBuilder, x: ir.Value, inplace: bool = False) -> ir.Value:
    return lower.silu(builder, x)


def _relu6(builder: GraphBuilder, x: ir.Value, inplace: bool = False) -> ir.Value:
    return lower.clamp(builder, x, 0.0, 6.0)


def _hardtanh(
    builder: GraphBuilder, x: ir.Value, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False
) -> ir.Value:
    return lower.clamp(builder, x, min_val, max_val)


def _hard_sigmoid(builder: GraphBuilder, x: ir.Value, inplace: bool = False) -> ir.Value:
    return lower.hard_sigmoid(builder, x)


def _leaky_relu(
    builder: GraphBuilder, x: ir.Value, negative_slope: float = 0.01, inplace: bool = False
) -> ir.Value:
    return builder.op("LeakyRelu", [x], {"alpha": negative_slope})


def _contiguous(builder: GraphBuilder, x: ir.Value) -> ir.Value:
    return x


FUNCTIONS: dict[Callable[..., Any], Lowering] = {
    operator.add: _elementwise("Add"),
    operator.iadd: _elementwise("Add"),
    torch.add: _add,
    operator.sub: _elementwise("Sub"),
    operator.isub: _elementwise("Sub"),
    operator.mul: _elementwise("Mul"),
    operator.imul: _elementwise("Mul"),
    torch.mul: _elementwise("Mul"),
    operator.truediv: _elementwise("Div"),
    getattr: _get_attribute,
    torch.cat: _cat,
    torch.concat: _cat,
    torch.clamp: _clamp,
    torch.flatten: lower.flatten,
    torch.mean: _mean,
    torch.narrow: lower.narrow,
    torch.channel_shuffle: lower.channel_shuffle,
    F.channel_shuffle: lower.channel_shuffle,
    torch.reshape: _reshape,
    torch.permute: _permute,
    torch.transpose: _transpose,
    torch.relu: _unary("Relu"),
    torch.sigmoid: _unary("Sigmoid"),
    torch.tanh: _unary("Tanh"),
    torch.softmax: _softmax,
    F.relu: _unary("Relu"),
    F.relu6: _relu6,
    F.silu: _silu,
    F.sigmoid: _unary("Sigmoid"),
    F.tanh: _unary("Tanh"),
    F.hardswish: _unary("HardSwish"),
    F.hardsigmoid: _hard_sigmoid,
    F.hardtanh: _hardtanh,
    F.leaky_relu: _leaky_relu,
    F.softmax: _softmax,
    F.conv2d: lower.conv2d,
    F.linear: lower.linear,
    F.batch_norm: _batch_norm,
    F.max_pool2d: _max_pool2d,
    F.avg_pool2d: lower.avg_pool2d,
    F.adaptive_avg_pool2d: spatial.adaptive_avg_pool2d,
    F.interpolate: spatial.interpolate,
    F.pad: lower.pad,
    F.dropout: _dropout,
}

METHODS: dict[str, Lowering] = {
    "add": _add,
    "add_": _add,
    "clamp": _clamp,
    "contiguous": _contiguous,
    "flatten": lower.flatten,
    "mean": _mean,
    "mul": _elementwise("Mul"),
    "mul_": _elementwise("Mul"),
    "narrow": lower.narrow,
    "permute": _permute,
    "relu": _unary("Relu"),
    "relu_": _unary("Relu"),
    "reshape": _reshape,
    "sigmoid": _unary("Sigmoid"),
    "size": _size,
    "softmax": _softmax,
    "sub": _elementwise("Sub"),
    "tanh": _unary("Tanh"),
    "transpose": _transpose,
    "view": _reshape,
}
