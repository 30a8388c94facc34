"""What torch's layers compute, as ONNX nodes: one function for a layer and its functional twin.

Arguments follow ``torch.nn.functional``; tensors are NCHW. Names of constants are left to the passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import onnx_ir as ir
import torch

from edgekit.capture.builder import GraphBuilder
from edgekit.errors import UnsupportedError, WeightsError
from edgekit.graph.values import Array, AttributeValue, shape_of

__all__ = [
    "Operand",
    "UntraceableError",
    "as_value",
    "avg_pool2d",
    "batch_norm",
    "channel_shuffle",
    "clamp",
    "conv2d",
    "flatten",
    "hard_sigmoid",
    "linear",
    "max_pool2d",
    "mean",
    "narrow",
    "pad",
    "silu",
    "to_numpy",
]

Operand: TypeAlias = ir.Value | torch.Tensor | float
Pair: TypeAlias = int | Sequence[int]


class UntraceableError(UnsupportedError):
    """The direct capture does not know a layer or function; the general export may."""


def to_numpy(tensor: torch.Tensor) -> Array:
    """A float32 (or integer) copy in host memory."""
    if tensor.is_meta:
        raise WeightsError(
            "the module has no weights: its parameters are on torch's meta device",
            hint="initialize or load the weights first",
        )
    plain = tensor.detach().cpu()
    if plain.is_floating_point():
        plain = plain.to(torch.float32)
    array: Array = plain.numpy().copy()
    return array


def as_value(builder: GraphBuilder, operand: Operand) -> ir.Value:
    """Numbers and parameters become constants."""
    if isinstance(operand, ir.Value):
        return operand
    if isinstance(operand, torch.Tensor):
        return builder.constant("tensor", to_numpy(operand))
    return builder.scalar(float(operand))


def conv2d(
    builder: GraphBuilder,
    x: ir.Value,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    stride: Pair = 1,
    padding: Pair | str = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> ir.Value:
    """``torch.nn.functional.conv2d``."""
    kernel, dilations = list(weight.shape[2:]), _pair(dilation)
    inputs = [x, builder.constant("weight", to_numpy(weight))]
    if bias is not None:
        inputs.append(builder.constant("bias", to_numpy(bias)))
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": kernel,
        "strides": _pair(stride),
        "dilations": dilations,
        "group": groups,
        "pads": _conv_pads(padding, kernel, dilations),
    }
    return builder.op("Conv", inputs, attributes)


def _conv_pads(padding: Pair | str, kernel: list[int], dilations: list[int]) -> list[int]:
    if padding == "valid":
        return [0, 0, 0, 0]
    if padding == "same":
        totals = [d * (k - 1) for k, d in zip(kernel, dilations, strict=True)]
        begins = [total // 2 for total in totals]
        return begins + [total - begin for total, begin in zip(totals, begins, strict=True)]
    if isinstance(padding, str):
        raise UntraceableError(f"padding {padding!r} of {kernel} convolution is not known")
    return _pair(padding) * 2


def linear(
    builder: GraphBuilder, x: ir.Value, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> ir.Value:
    """``torch.nn.functional.linear``."""
    if len(shape_of(x)) != 2:
        product = builder.op("MatMul", [x, builder.constant("weight", to_numpy(weight).T)])
        return product if bias is None else builder.op("Add", [product, as_value(builder, bias)])
    inputs = [x, builder.constant("weight", to_numpy(weight))]
    if bias is not None:
        inputs.append(builder.constant("bias", to_numpy(bias)))
    return builder.op("Gemm", inputs, {"transB": 1})


def batch_norm(
    builder: GraphBuilder,
    x: ir.Value,
    mean: torch.Tensor | None,
    variance: torch.Tensor | None,
    weight: torch.Tensor | None,
    bias: torch.Tensor | None,
    epsilon: float,
) -> ir.Value:
    """Batch normalization in evaluation mode."""
    if mean is None or variance is None:
        raise UntraceableError("batch normalization without running statistics")
    weight = torch.ones_like(mean) if weight is None else weight
    bias = torch.zeros_like(mean) if bias is None else bias
    named = {"scale": weight, "shift": bias, "mean": mean, "variance": variance}
    constants = [builder.constant(name, to_numpy(tensor)) for name, tensor in named.items()]
    return builder.op("BatchNormalization", [x, *constants], {"epsilon": epsilon})


def max_pool2d(
    builder: GraphBuilder,
    x: ir.Value,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> ir.Value:
    """``torch.nn.functional.max_pool2d``."""
    attributes: dict[str, AttributeValue] = {
        **_pool_attributes(kernel_size, stride, padding, ceil_mode),
        "dilations": _pair(dilation),
    }
    return builder.op("MaxPool", [x], attributes)


def avg_pool2d(
    builder: GraphBuilder,
    x: ir.Value,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> ir.Value:
    """``torch.nn.functional.avg_pool2d``."""
    if divisor_override is not None:
        raise UntraceableError("average pooling with divisor_override")
    attributes = _pool_attributes(kernel_size, stride, padding, ceil_mode)
    attributes["count_include_pad"] = int(count_include_pad)
    return builder.op("AveragePool", [x], attributes)


def _pool_attributes(
    kernel_size: Pair, stride: Pair | None, padding: Pair, ceil_mode: bool
) -> dict[str, AttributeValue]:
    # torch reads an empty stride as the kernel's size.
    strides = _pair(kernel_size) if stride is None or stride == [] else _pair(stride)
    return {
        "kernel_shape": _pair(kernel_size),
        "strides": strides,
        "pads": _pair(padding) * 2,
        "ceil_mode": int(ceil_mode),
    }


def clamp(
    builder: GraphBuilder, x: ir.Value, low: float | None = None, high: float | None = None
) -> ir.Value:
    """``torch.clamp`` by numbers."""
    bounds = [None if bound is None else builder.scalar(bound) for bound in (low, high)]
    return builder.op("Clip", [x, *bounds])


def hard_sigmoid(builder: GraphBuilder, x: ir.Value) -> ir.Value:
    """``torch.nn.functional.hardsigmoid``."""
    return builder.op("HardSigmoid", [x], {"alpha": 1.0 / 6.0, "beta": 0.5})


def silu(builder: GraphBuilder, x: ir.Value) -> ir.Value:
    """``torch.nn.functional.silu``."""
    return builder.op("Mul", [x, builder.op("Sigmoid", [x])])


def flatten(builder: GraphBuilder, x: ir.Value, start_dim: int = 0, end_dim: int = -1) -> ir.Value:
    """``torch.flatten``."""
    shape = list(shape_of(x))
    start, end = start_dim % len(shape), end_dim % len(shape)
    target = [*shape[:start], int(np.prod(shape[start : end + 1])), *shape[end + 1 :]]
    return builder.op("Reshape", [x, builder.ints(target)])


def mean(builder: GraphBuilder, x: ir.Value, dim: Pair | None = None, keepdim: bool = False) -> ir.Value:
    """``torch.mean`` over some axes."""
    axes = list(range(len(shape_of(x)))) if dim is None else [dim] if isinstance(dim, int) else list(dim)
    return builder.op("ReduceMean", [x, builder.ints(axes)], {"keepdims": int(keepdim)})


def narrow(builder: GraphBuilder, x: ir.Value, dim: int, start: int, length: int) -> ir.Value:
    """``torch.narrow``."""
    axis = dim % len(shape_of(x))
    start %= shape_of(x)[axis]
    ends = [builder.ints([number]) for number in (start, start + length, axis, 1)]
    return builder.op("Slice", [x, *ends])


def channel_shuffle(builder: GraphBuilder, x: ir.Value, groups: int) -> ir.Value:
    """``torch.nn.functional.channel_shuffle``: the first channel of each group, then the second, …"""
    batch, channels, *size = shape_of(x)
    table = builder.op("Reshape", [x, builder.ints([batch, groups, channels // groups, *size])])
    order = [0, 2, 1, *range(3, 3 + len(size))]
    turned = builder.op("Transpose", [table], {"perm": order})
    return builder.op("Reshape", [turned, builder.ints([batch, channels, *size])])


def pad(
    builder: GraphBuilder,
    x: ir.Value,
    padding: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> ir.Value:
    """``torch.nn.functional.pad``: pairs (begin, end) of the axes, the last axis first."""
    if mode != "constant":
        raise UntraceableError(f"padding mode {mode!r}")
    rank = len(shape_of(x))
    pairs = [(padding[i], padding[i + 1]) for i in range(0, len(padding), 2)]
    pairs = [(0, 0)] * (rank - len(pairs)) + pairs[::-1]
    amounts = [begin for begin, _ in pairs] + [end for _, end in pairs]
    return builder.op("Pad", [x, builder.ints(amounts), builder.scalar(value or 0.0)], {"mode": "constant"})


def _pair(value: Pair) -> list[int]:
    """One number for both spatial axes, or one for each."""
    if isinstance(value, int):
        return [value, value]
    numbers = [int(item) for item in value]
    return numbers * 2 if len(numbers) == 1 else numbers
