"""``Conv`` → CONV_2D (OHWI weights, grouped or not) or DEPTHWISE_CONV_2D (1HWO weights)."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.activation import absorb_activation
from edgekit.emit.tflite.lowering import Lowering, name_of
from edgekit.emit.tflite.padding import Window, pad_explicitly
from edgekit.emit.tflite.program import Array, Option
from edgekit.emit.tflite.schema import schema
from edgekit.emit.tflite.weights import lower_bias, lower_weight
from edgekit.graph.values import shape_of

__all__ = ["lower_conv"]


def _ohwi(weights: Array) -> Array:
    return np.ascontiguousarray(weights.transpose(0, 2, 3, 1))


def _depthwise(weights: Array) -> Array:
    """OIHW with I = 1 to 1HWO; output channel = input channel × multiplier + i in both formats."""
    return np.ascontiguousarray(weights.transpose(1, 2, 3, 0))


def _window_options(window: Window) -> dict[str, Option]:
    options: dict[str, Option] = {"strideH": window.height.stride, "strideW": window.width.stride}
    if (window.height.dilation, window.width.dilation) != (1, 1):
        options |= {"dilationHFactor": window.height.dilation, "dilationWFactor": window.width.dilation}
    return options


def lower_conv(lowering: Lowering, node: ir.Node) -> None:
    """One convolution with its padding and fused activation."""
    channels, filters = shape_of(node.inputs[0])[1], shape_of(node.outputs[0])[1]
    groups = node.attributes.get_int("group", 1)
    is_depthwise = groups == channels and groups > 1
    source, window = lowering.operand(node.inputs[0]), Window.of(node)
    options = _window_options(window)
    scheme = window.scheme
    if scheme is None:
        source = pad_explicitly(lowering, source, window, name_of(node))
        scheme = int(schema.Padding.VALID)
    options["padding"] = scheme
    options["fusedActivationFunction"], value = absorb_activation(lowering, node.outputs[0])
    if is_depthwise:
        options["depthMultiplier"] = filters // channels
        weight = lower_weight(lowering, node, node.inputs[1], _depthwise, axis=3, has_hybrid=False)
    else:
        weight = lower_weight(lowering, node, node.inputs[1], _ohwi, axis=0, has_hybrid=groups == 1)
    inputs = [source, weight, lower_bias(lowering, node, node.inputs[2])]
    code = "DEPTHWISE_CONV_2D" if is_depthwise else "CONV_2D"
    lowering.program.add_operator(code, inputs, [lowering.result(value)], **options)
