"""Write out what ONNX leaves to defaults: attributes of convolutions and pools, the bias of convolutions."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.errors import UnsupportedError
from edgekit.graph.edit import constant_before, with_attributes
from edgekit.graph.values import required, shape_of

__all__ = ["complete_attributes"]


def complete_attributes(model: ir.Model) -> bool:
    """Give ``Conv``, ``ConvTranspose``, ``MaxPool`` and ``AveragePool`` explicit attributes and biases."""
    modified = False
    for node in model.graph:
        if node.op_type in ("Conv", "ConvTranspose"):
            modified |= _complete_conv(node)
        elif node.op_type in ("MaxPool", "AveragePool"):
            modified |= _complete_pool(node)
    return modified


def _complete_conv(node: ir.Node) -> bool:
    weight = shape_of(required(node, 1))
    rank = len(weight) - 2
    group = node.attributes.get_int("group", 1)
    modified = with_attributes(
        node,
        {"kernel_shape": list(weight[2:]), "group": group, **_windows(node, rank)},
    )
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        return modified
    if required(node, 1).const_value is None:
        raise UnsupportedError(f"node {node.name!r} ({node.op_type}): the weight must be a constant")
    channels = weight[0] if node.op_type == "Conv" else weight[1] * group
    bias = constant_before(node, "bias", np.zeros(channels, np.float32))
    node.resize_inputs(3)
    node.replace_input_with(2, bias)
    return True


def _complete_pool(node: ir.Node) -> bool:
    rank = len(node.attributes.get_ints("kernel_shape", ()))
    defaults: dict[str, list[int]] = _windows(node, rank)
    if node.op_type == "AveragePool":
        del defaults["dilations"]  # no such attribute in opset 18
        return with_attributes(
            node, {**defaults, "count_include_pad": node.attributes.get_int("count_include_pad", 0)}
        )
    return with_attributes(node, defaults)


def _windows(node: ir.Node, rank: int) -> dict[str, list[int]]:
    attributes = node.attributes
    return {
        "strides": list(attributes.get_ints("strides", [1] * rank)),
        "dilations": list(attributes.get_ints("dilations", [1] * rank)),
        "pads": list(attributes.get_ints("pads", [0] * 2 * rank)),
    }
