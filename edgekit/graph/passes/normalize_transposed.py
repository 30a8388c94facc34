"""Write transposed convolutions without groups and dilation, and non-overlapping ones as pixel shuffles.

Groups become zeros of one dense weight, dilation zeros between its elements. Where the stride is the kernel,
every input pixel makes a block of output pixels of its own: a 1 × 1 convolution and ``DepthToSpace``, which
every runtime computes in integers too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from edgekit.errors import UnsupportedError
from edgekit.graph.edit import add_before, constant_before, replace_node, with_attributes
from edgekit.graph.values import Array, array_of, required

__all__ = ["normalize_transposed"]


def normalize_transposed(model: ir.Model) -> bool:
    """Rewrite ``ConvTranspose`` with constant weights."""
    modified = False
    for node in list(model.graph):
        if node.op_type != "ConvTranspose":
            continue
        weight = array_of(required(node, 1))
        if weight is None:
            raise UnsupportedError(f"node {node.name!r} (ConvTranspose): the weight must be a constant")
        modified |= _make_dense(node, weight)
        if _is_block(node):
            replace_node(node, _as_blocks(node))
            modified = True
    return modified


def _make_dense(node: ir.Node, weight: Array) -> bool:
    groups = node.attributes.get_int("group", 1)
    dilations = node.attributes.get_ints("dilations", [1] * (weight.ndim - 2))
    if groups == 1 and set(dilations) <= {1}:
        return False
    dense = _dilated(_ungrouped(weight, groups), dilations)
    node.replace_input_with(1, constant_before(node, "weight", dense))
    return with_attributes(
        node,
        {"group": 1, "dilations": [1] * len(dilations), "kernel_shape": list(dense.shape[2:])},
    )


def _ungrouped(weight: Array, groups: int) -> Array:
    """``[C, O / groups, …]`` as ``[C, O, …]``."""
    channels, made = weight.shape[0] // groups, weight.shape[1]
    dense = np.zeros((weight.shape[0], made * groups, *weight.shape[2:]), weight.dtype)
    for group in range(groups):
        rows = slice(group * channels, (group + 1) * channels)
        dense[rows, group * made : (group + 1) * made] = weight[rows]
    return dense


def _dilated(weight: Array, dilations: Sequence[int]) -> Array:
    sizes = [(size - 1) * step + 1 for size, step in zip(weight.shape[2:], dilations, strict=True)]
    spread = np.zeros((*weight.shape[:2], *sizes), weight.dtype)
    places = [slice(None), slice(None), *(slice(None, None, step) for step in dilations)]
    spread[tuple(places)] = weight
    return spread


def _is_block(node: ir.Node) -> bool:
    attributes = node.attributes
    kernel, strides = (tuple(attributes.get_ints(name, ())) for name in ("kernel_shape", "strides"))
    return (
        len(kernel) == 2
        and kernel[0] == kernel[1] > 1
        and strides == kernel
        and not any(attributes.get_ints("pads", ()))
        and not any(attributes.get_ints("output_padding", ()))
    )


def _as_blocks(node: ir.Node) -> ir.Value:
    weight, bias = array_of(required(node, 1)), array_of(required(node, 2))
    assert weight is not None
    if bias is None:
        raise UnsupportedError(f"node {node.name!r} (ConvTranspose): the bias must be a constant")
    channels, made, block, _ = weight.shape
    rows = np.ascontiguousarray(weight.transpose(2, 3, 1, 0)).reshape(block * block * made, channels, 1, 1)
    inputs = [
        required(node, 0),
        constant_before(node, "weight", rows),
        constant_before(node, "bias", np.tile(bias, block * block)),
    ]
    attributes = {"kernel_shape": [1, 1], "strides": [1, 1], "dilations": [1, 1], "pads": [0, 0, 0, 0]}
    product = add_before(node, "Conv", inputs, {**attributes, "group": 1})
    return add_before(node, "DepthToSpace", [product], {"blocksize": block, "mode": "DCR"})
