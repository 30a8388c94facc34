"""Fold batch normalization into the layer before it.

A batch normalization that follows no such layer becomes a depthwise 1×1 convolution (images) or a
multiplication and an addition (everything else), which runtimes and quantizers know.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.errors import UnsupportedError
from edgekit.graph.affine import ChannelAffine, absorb, absorbing_layer
from edgekit.graph.edit import add_before, constant_before, replace_node
from edgekit.graph.values import AttributeValue, array_of, required, shape_of

__all__ = ["fold_batch_norm"]


def fold_batch_norm(model: ir.Model) -> bool:
    """Remove every ``BatchNormalization``."""
    modified = False
    for node in list(model.graph):
        if node.op_type != "BatchNormalization":
            continue
        affine, source = _affine(node), required(node, 0)
        layer = absorbing_layer(source)
        if layer is not None:
            absorb(layer, affine)
            replace_node(node, source)
        elif len(shape_of(source)) == 4:
            replace_node(node, _as_depthwise(node, affine))
        else:
            replace_node(node, _as_multiply_add(node, affine))
        modified = True
    return modified


def _affine(node: ir.Node) -> ChannelAffine:
    arrays = [array_of(value) for value in node.inputs[1:5]]
    channels = shape_of(required(node, 0))[1:2]
    if any(array is not None and array.shape != channels for array in arrays):
        raise UnsupportedError(f"node {node.name!r} (BatchNormalization): statistics do not fit {channels}")
    if node.attributes.get_int("training_mode", 0) or any(array is None for array in arrays):
        raise UnsupportedError(
            f"node {node.name!r} (BatchNormalization) is in training mode or has computed statistics",
            hint="export the model in evaluation mode",
        )
    scale, bias, mean, variance = (np.asarray(array, np.float64) for array in arrays)
    epsilon = node.attributes.get_float("epsilon", 1e-5)
    # A negative variance makes weights that are not finite, which is an error of its own.
    with np.errstate(all="ignore"):
        factor = scale / np.sqrt(variance + epsilon)
    return ChannelAffine(factor, bias - mean * factor)


def _as_depthwise(node: ir.Node, affine: ChannelAffine) -> ir.Value:
    channels = affine.factor.size
    weight = affine.factor.astype(np.float32).reshape(channels, 1, 1, 1)
    inputs = [
        required(node, 0),
        constant_before(node, "weight", weight),
        constant_before(node, "bias", affine.shift.astype(np.float32)),
    ]
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": [1, 1],
        "strides": [1, 1],
        "dilations": [1, 1],
        "pads": [0, 0, 0, 0],
        "group": channels,
    }
    return add_before(node, "Conv", inputs, attributes)


def _as_multiply_add(node: ir.Node, affine: ChannelAffine) -> ir.Value:
    source = required(node, 0)
    shape = (1, -1, *([1] * (len(shape_of(source)) - 2)))
    factor = constant_before(node, "factor", affine.factor.astype(np.float32).reshape(shape))
    shift = constant_before(node, "shift", affine.shift.astype(np.float32).reshape(shape))
    return add_before(node, "Add", [add_before(node, "Mul", [source, factor]), shift])
