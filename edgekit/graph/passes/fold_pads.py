"""Fold ``Pad`` into the convolution or pool that reads it, where that is exact.

Zeros around a convolution are its own padding. A max pool ignores its padding, so the pad must be
-inf, or 0 behind an activation that is never negative. An average pool must then count its padding.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.graph.edit import constant_before, drop_node, with_attributes
from edgekit.graph.values import array_of, op_of, required, shape_of

__all__ = ["fold_pads"]

_NEVER_NEGATIVE = frozenset({"Relu", "Sigmoid", "HardSigmoid", "Softmax"})
_LOWEST = float(np.finfo(np.float32).min)


def fold_pads(model: ir.Model) -> bool:
    """Fold constant pads of height and width; other pads are written out for all axes."""
    modified = False
    for node in list(model.graph):
        if node.op_type != "Pad":
            continue
        amounts = _amounts(node)
        if amounts is None:
            continue
        modified |= _write_out(node, amounts)
        if _is_spatial(node, amounts):
            modified |= _fold(node, [*amounts[2:4], *amounts[6:8]])
    return modified


def _amounts(node: ir.Node) -> list[int] | None:
    """Begin of every axis, then end of every axis; None when they are not constant."""
    pads = array_of(required(node, 1))
    if pads is None:
        return None
    rank = len(shape_of(required(node, 0)))
    axes = (
        array_of(node.inputs[3]) if len(node.inputs) > 3 and node.inputs[3] is not None else np.arange(rank)
    )
    if axes is None:
        return None
    full = np.zeros((2, rank), np.int64)
    full[:, axes.astype(np.int64)] = pads.reshape(2, -1)
    return [int(amount) for amount in full.reshape(-1)]


def _write_out(node: ir.Node, amounts: list[int]) -> bool:
    """Replace pads for some axes by pads for all axes."""
    if len(node.inputs) <= 3:
        return False
    node.replace_input_with(1, constant_before(node, "pads", np.array(amounts, np.int64)))
    node.resize_inputs(3)
    return True


def _is_spatial(node: ir.Node, amounts: list[int]) -> bool:
    constant = node.attributes.get_string("mode", "constant") == "constant"
    return constant and len(amounts) == 8 and min(amounts) >= 0 and not any(amounts[:2] + amounts[4:6])


def _fold(node: ir.Node, pads: list[int]) -> bool:
    modified = False
    for usage in node.outputs[0].uses():
        reader = usage.node
        if usage.idx != 0 or not _is_exact(node, reader, pads):
            continue
        own = reader.attributes.get_ints("pads", (0, 0, 0, 0))
        with_attributes(reader, {"pads": [a + b for a, b in zip(own, pads, strict=True)]})
        if reader.op_type == "AveragePool":
            with_attributes(reader, {"count_include_pad": 1})
        reader.replace_input_with(0, node.inputs[0])
        modified = True
    if not node.outputs[0].uses() and not node.outputs[0].is_graph_output():
        drop_node(node)
    return modified


def _is_exact(node: ir.Node, reader: ir.Node, pads: list[int]) -> bool:
    value = _pad_value(node)
    if reader.op_type == "Conv":
        return value == 0
    if reader.op_type not in ("MaxPool", "AveragePool"):
        return False
    own = reader.attributes.get_ints("pads", (0, 0, 0, 0))
    kernel = [*reader.attributes.get_ints("kernel_shape", ())] * 2
    if any(a + b >= size for a, b, size in zip(own, pads, kernel, strict=True)):
        return False  # runtimes refuse windows that may lie in the padding alone
    if reader.op_type == "MaxPool":
        return value <= _LOWEST or (value == 0 and _is_never_negative(node.inputs[0]))
    return value == 0 and (not any(own) or bool(reader.attributes.get_int("count_include_pad", 0)))


def _pad_value(node: ir.Node) -> float:
    given = node.inputs[2] if len(node.inputs) > 2 else None
    if given is None:
        return 0.0
    array = array_of(given)
    return float("nan") if array is None else float(array.reshape(-1)[0])


def _is_never_negative(value: ir.Value | None) -> bool:
    if op_of(value) != "Clip":
        return op_of(value) in _NEVER_NEGATIVE
    producer = value.producer() if value is not None else None
    low = array_of(producer.inputs[1]) if producer is not None and len(producer.inputs) > 1 else None
    return low is not None and float(low.reshape(-1)[0]) >= 0
