"""Per-channel affine maps and their absorption into the weights of the layer before them.

``y = factor · x + shift`` along the channel axis; arithmetic is float64, stored weights are float32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit.errors import UnsupportedError
from edgekit.graph.edit import constant_before
from edgekit.graph.values import array_of, only_reader, required

__all__ = ["ChannelAffine", "absorb", "absorbing_layer"]

Float64Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ChannelAffine:
    """``y[c] = factor[c] · x[c] + shift[c]``; both float64 ``[channels]``."""

    factor: Float64Array
    shift: Float64Array


def absorbing_layer(value: ir.Value) -> ir.Node | None:
    """The layer that computes ``value`` for a single reader and whose weights are constants, else None."""
    node = value.producer()
    if node is None or node.op_type not in ("Conv", "ConvTranspose", "Gemm") or only_reader(value) is None:
        return None
    return node if array_of(required(node, 1)) is not None and array_of(node.inputs[2]) is not None else None


def absorb(node: ir.Node, affine: ChannelAffine) -> None:
    """Change weight and bias so that the node computes the affine map of its former output."""
    weight, bias = array_of(required(node, 1)), array_of(required(node, 2))
    assert weight is not None
    assert bias is not None
    if affine.factor.size != bias.size:
        raise UnsupportedError(
            f"node {node.name!r} ({node.op_type}) has {bias.size} channels, what follows it has "
            f"{affine.factor.size}"
        )
    scaled = _scale_weight(node, weight.astype(np.float64), affine.factor)
    moved = bias.astype(np.float64) * affine.factor + affine.shift
    node.replace_input_with(1, constant_before(node, "weight", scaled.astype(np.float32)))
    node.replace_input_with(2, constant_before(node, "bias", moved.astype(np.float32)))


def _scale_weight(node: ir.Node, weight: Float64Array, factor: Float64Array) -> Float64Array:
    if node.op_type != "ConvTranspose":
        return weight * factor.reshape(-1, *([1] * (weight.ndim - 1)))
    # [C, O/group, kH, kW]: the output channel is the group of the first axis, then the second axis.
    group = node.attributes.get_int("group", 1)
    grouped = weight.reshape(group, weight.shape[0] // group, *weight.shape[1:])
    per_group = factor.reshape(group, 1, weight.shape[1], *([1] * (weight.ndim - 2)))
    return (grouped * per_group).reshape(weight.shape)
