"""Write out what ONNX leaves to defaults, so that one meaning has one spelling.

Attributes of convolutions and pools and the bias of convolutions are explicit; axes count from the front;
attributes without effect on the result (a pool's ``storage_order``) are dropped.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.errors import UnsupportedError
from edgekit.graph.edit import constant_before, with_attributes
from edgekit.graph.values import required, shape_of

__all__ = ["complete_attributes"]

_AXIS_DEFAULTS = {
    "Concat": 1,
    "Softmax": -1,
    "LogSoftmax": -1,
    "Split": 0,
    "Gather": 0,
    "ArgMax": 0,
    "ArgMin": 0,
}


def complete_attributes(model: ir.Model) -> bool:
    """Give convolutions and pools explicit attributes, convolutions a bias, and axes a plain number."""
    modified = False
    for node in model.graph:
        if node.op_type in ("Conv", "ConvTranspose"):
            modified |= _complete_conv(node)
        elif node.op_type in ("MaxPool", "AveragePool"):
            modified |= _complete_pool(node)
        elif node.op_type == "Transpose":
            rank = len(shape_of(required(node, 0)))
            perm = node.attributes.get_ints("perm", range(rank)[::-1])
            modified |= with_attributes(node, {"perm": list(perm)})
        elif node.op_type in _AXIS_DEFAULTS:
            rank = len(shape_of(required(node, 0)))
            axis = node.attributes.get_int("axis", _AXIS_DEFAULTS[node.op_type])
            modified |= with_attributes(node, {"axis": axis % rank})
    return modified


def _complete_conv(node: ir.Node) -> bool:
    if required(node, 1).const_value is None:
        raise UnsupportedError(
            f"node {node.name!r} ({node.op_type}): the weight must be a constant",
            hint="cut the model before it, and correlate computed maps in the application",
        )
    weight = shape_of(required(node, 1))
    rank = len(weight) - 2
    group = node.attributes.get_int("group", 1)
    modified = with_attributes(
        node,
        {"kernel_shape": list(weight[2:]), "group": group, **_windows(node, rank)},
    )
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is not None:
        if bias.const_value is None:
            raise UnsupportedError(
                f"node {node.name!r} ({node.op_type}): the bias must be a constant",
                hint="add what is computed behind the node, by an Add",
            )
        return modified
    channels = weight[0] if node.op_type == "Conv" else weight[1] * group
    node.resize_inputs(3)
    node.replace_input_with(2, constant_before(node, "bias", np.zeros(channels, np.float32)))
    return True


def _complete_pool(node: ir.Node) -> bool:
    rank = len(node.attributes.get_ints("kernel_shape", ()))
    defaults: dict[str, list[int]] = _windows(node, rank)
    if node.op_type == "AveragePool":
        del defaults["dilations"]  # no such attribute in opset 18
        return with_attributes(
            node, {**defaults, "count_include_pad": node.attributes.get_int("count_include_pad", 0)}
        )
    # The order of indices, which no supported network returns.
    dropped = node.attributes.pop("storage_order", None) is not None
    return with_attributes(node, defaults) or dropped


def _windows(node: ir.Node, rank: int) -> dict[str, list[int]]:
    attributes = node.attributes
    return {
        "strides": list(attributes.get_ints("strides", [1] * rank)),
        "dilations": list(attributes.get_ints("dilations", [1] * rank)),
        "pads": list(attributes.get_ints("pads", [0] * 2 * rank)),
    }
