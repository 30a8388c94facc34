"""One table: class of a ``torch.nn`` leaf → the nodes that compute it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import onnx_ir as ir
from torch import nn

from edgekit.capture import lower, spatial
from edgekit.capture.builder import GraphBuilder
from edgekit.capture.lower import UntraceableError
from edgekit.graph.values import AttributeValue

__all__ = ["MODULES", "ModuleLowering", "lower_module"]

# The table's key fixes the module's class, which a common function type cannot express.
ModuleLowering: TypeAlias = Callable[[GraphBuilder, Any, ir.Value], ir.Value]


def lower_module(builder: GraphBuilder, module: nn.Module, x: ir.Value) -> ir.Value:
    """Nodes of a leaf module; :class:`UntraceableError` for a class that is not in the table."""
    rule = MODULES.get(type(module))
    if rule is None:
        raise UntraceableError(f"layer {builder.scope!r} is a {type(module).__name__}")
    if module._forward_hooks or module._forward_pre_hooks:
        raise UntraceableError(f"layer {builder.scope!r} has hooks, which a trace does not show")
    return rule(builder, module, x)


def _conv2d(builder: GraphBuilder, module: nn.Conv2d, x: ir.Value) -> ir.Value:
    if module.padding_mode != "zeros":
        raise UntraceableError(f"layer {builder.scope!r} has padding mode {module.padding_mode!r}")
    return lower.conv2d(
        builder,
        x,
        module.weight,
        module.bias,
        module.stride,
        module.padding,
        module.dilation,
        module.groups,
    )


def _batch_norm(builder: GraphBuilder, module: nn.BatchNorm2d, x: ir.Value) -> ir.Value:
    return lower.batch_norm(
        builder, x, module.running_mean, module.running_var, module.weight, module.bias, module.eps
    )


def _linear(builder: GraphBuilder, module: nn.Linear, x: ir.Value) -> ir.Value:
    return lower.linear(builder, x, module.weight, module.bias)


def _max_pool(builder: GraphBuilder, module: nn.MaxPool2d, x: ir.Value) -> ir.Value:
    if module.return_indices:
        raise UntraceableError(f"layer {builder.scope!r} returns indices")
    return lower.max_pool2d(
        builder, x, module.kernel_size, module.stride, module.padding, module.dilation, module.ceil_mode
    )


def _avg_pool(builder: GraphBuilder, module: nn.AvgPool2d, x: ir.Value) -> ir.Value:
    return lower.avg_pool2d(
        builder,
        x,
        module.kernel_size,
        module.stride,
        module.padding,
        module.ceil_mode,
        module.count_include_pad,
        module.divisor_override,
    )


def _flatten(builder: GraphBuilder, module: nn.Flatten, x: ir.Value) -> ir.Value:
    return lower.flatten(builder, x, module.start_dim, module.end_dim)


def _constant_pad(
    builder: GraphBuilder, module: nn.ConstantPad2d | nn.ConstantPad3d, x: ir.Value
) -> ir.Value:
    return lower.pad(builder, x, module.padding, value=module.value)


def _response_norm(builder: GraphBuilder, module: nn.LocalResponseNorm, x: ir.Value) -> ir.Value:
    attributes: dict[str, AttributeValue] = {
        "size": module.size,
        "alpha": module.alpha,
        "beta": module.beta,
        "bias": module.k,
    }
    return builder.op("LRN", [x], attributes)


def _softmax(builder: GraphBuilder, module: nn.Softmax, x: ir.Value) -> ir.Value:
    if module.dim is None:
        raise UntraceableError(f"layer {builder.scope!r} is a softmax without an axis")
    return builder.op("Softmax", [x], {"axis": module.dim})


def _same(_builder: GraphBuilder, _module: nn.Module, x: ir.Value) -> ir.Value:
    return x


def _operator(op_type: str) -> ModuleLowering:
    return lambda builder, _module, x: builder.op(op_type, [x])


MODULES: dict[type[nn.Module], ModuleLowering] = {
    nn.Conv2d: _conv2d,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.Linear: _linear,
    nn.ReLU: _operator("Relu"),
    nn.ReLU6: lambda builder, _module, x: lower.clamp(builder, x, 0.0, 6.0),
    nn.Hardtanh: lambda builder, module, x: lower.clamp(builder, x, module.min_val, module.max_val),
    nn.SiLU: lambda builder, _module, x: lower.silu(builder, x),
    nn.Sigmoid: _operator("Sigmoid"),
    nn.Tanh: _operator("Tanh"),
    nn.Hardswish: _operator("HardSwish"),
    nn.Hardsigmoid: lambda builder, _module, x: lower.hard_sigmoid(builder, x),
    nn.LeakyReLU: lambda builder, module, x: builder.op("LeakyRelu", [x], {"alpha": module.negative_slope}),
    nn.ELU: lambda builder, module, x: builder.op("Elu", [x], {"alpha": module.alpha}),
    nn.Softmax: _softmax,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool2d: _avg_pool,
    nn.AdaptiveAvgPool2d: lambda builder, module, x: spatial.adaptive_avg_pool2d(
        builder, x, module.output_size
    ),
    nn.Upsample: lambda builder, module, x: spatial.interpolate(
        builder, x, module.size, module.scale_factor, module.mode, module.align_corners
    ),
    nn.Flatten: _flatten,
    nn.LocalResponseNorm: _response_norm,
    nn.ChannelShuffle: lambda builder, module, x: lower.channel_shuffle(builder, x, module.groups),
    nn.ZeroPad2d: _constant_pad,
    nn.ConstantPad2d: _constant_pad,
    nn.ConstantPad3d: _constant_pad,
    nn.Dropout: _same,
    nn.Dropout2d: _same,
    nn.Identity: _same,
}
