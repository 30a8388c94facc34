"""Write pixel shuffles as ``DepthToSpace`` and ``SpaceToDepth`` in the order that all formats have.

Exporters spell them as reshape, six-dimensional transposition, reshape. ONNX orders the channels of a block
in two ways, of which only DCR is known elsewhere; for the other the channels change places first, in the
weights of the convolution before where there is one.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.graph.affine import absorbing_layer
from edgekit.graph.edit import add_before, constant_before, replace_node
from edgekit.graph.values import Array, AttributeValue, array_of, only_reader, required, shape_of

__all__ = ["normalize_blocks"]

_TO_SPACE: dict[tuple[int, ...], str] = {(0, 1, 4, 2, 5, 3): "CRD", (0, 3, 4, 1, 5, 2): "DCR"}
_TO_DEPTH: dict[tuple[int, ...], str] = {(0, 1, 3, 5, 2, 4): "CRD", (0, 3, 5, 1, 2, 4): "DCR"}
_POINTWISE = frozenset({"Relu", "Clip", "Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "LeakyRelu", "Elu"})


def normalize_blocks(model: ir.Model) -> bool:
    """Recognize pixel shuffles and order their channels as DCR."""
    modified = False
    for node in list(model.graph):
        if node.op_type == "Reshape":
            modified |= _recognize(node)
    for node in list(model.graph):
        if node.op_type == "DepthToSpace" and node.attributes.get_string("mode", "DCR") == "CRD":
            _reorder(node)
            modified = True
    return modified


def _recognize(node: ir.Node) -> bool:
    turn = required(node, 0).producer()
    if turn is None or turn.op_type != "Transpose" or only_reader(turn.outputs[0]) is not node:
        return False
    first = required(turn, 0).producer()
    if first is None or first.op_type != "Reshape" or only_reader(first.outputs[0]) is not turn:
        return False
    perm = tuple(turn.attributes.get_ints("perm", ()))
    source = required(first, 0)
    before, middle, after = shape_of(source), shape_of(first.outputs[0]), shape_of(node.outputs[0])
    if len(before) != 4 or len(after) != 4 or len(middle) != 6:
        return False
    if perm in _TO_SPACE:
        return _recognize_to_space(node, source, perm, middle, after)
    return perm in _TO_DEPTH and _recognize_to_depth(node, source, perm, middle, after)


def _recognize_to_space(
    node: ir.Node, source: ir.Value, perm: tuple[int, ...], middle: tuple[int, ...], after: tuple[int, ...]
) -> bool:
    batch, channels, height, width = shape_of(source)
    mode = _TO_SPACE[perm]
    block = middle[2]
    kept = channels // (block * block)
    wanted = (
        (batch, kept, block, block, height, width)
        if mode == "CRD"
        else (batch, block, block, kept, height, width)
    )
    if middle != wanted or after != (batch, kept, height * block, width * block):
        return False
    replace_node(node, add_before(node, "DepthToSpace", [source], {"blocksize": block, "mode": mode}))
    return True


def _recognize_to_depth(
    node: ir.Node, source: ir.Value, perm: tuple[int, ...], middle: tuple[int, ...], after: tuple[int, ...]
) -> bool:
    batch, channels, height, width = shape_of(source)
    block = middle[3]
    wanted = (batch, channels, height // block, block, width // block, block)
    made = channels * block * block
    if middle != wanted or after != (batch, made, height // block, width // block):
        return False
    result = add_before(node, "SpaceToDepth", [source], {"blocksize": block})
    if _TO_DEPTH[perm] == "CRD":
        order = np.arange(made).reshape(block, block, channels).transpose(2, 0, 1).reshape(-1)
        indices = constant_before(node, "channels", order.astype(np.int64))
        result = add_before(node, "Gather", [result, indices], {"axis": 1})
    replace_node(node, result)
    return True


def _reorder(node: ir.Node) -> None:
    source = required(node, 0)
    block = node.attributes.get_int("blocksize", 1)
    order = np.arange(shape_of(source)[1]).reshape(-1, block, block).transpose(1, 2, 0).reshape(-1)
    if not _permute_layer(source, order):
        indices = constant_before(node, "channels", order.astype(np.int64))
        source = add_before(node, "Gather", [source, indices], {"axis": 1})
    attributes: dict[str, AttributeValue] = {"blocksize": block, "mode": "DCR"}
    replace_node(node, add_before(node, "DepthToSpace", [source], attributes))


def _permute_layer(value: ir.Value, order: Array) -> bool:
    """Let the convolution behind ``value``, and behind what acts on single numbers, permute its outputs."""
    producer = value.producer()
    while producer is not None and producer.op_type in _POINTWISE and only_reader(value) is not None:
        value = required(producer, 0)
        producer = value.producer()
    layer = absorbing_layer(value)
    if layer is None or layer.op_type != "Conv" or layer.attributes.get_int("group", 1) != 1:
        return False
    for index, name in ((1, "weight"), (2, "bias")):
        array = array_of(required(layer, index))
        assert array is not None
        layer.replace_input_with(index, constant_before(layer, name, np.ascontiguousarray(array[order])))
    return True
