"""Push transpositions down until they meet and cancel.

Exporters and other layouts leave pairs of them around what does not care for the order of axes.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.graph.edit import add_before, constant_before, replace_node
from edgekit.graph.values import array_of, only_reader, required, shape_of

__all__ = ["push_transposes"]

_POINTWISE = frozenset(
    (
        *(
            "Abs",
            "Ceil",
            "Cos",
            "Elu",
            "Erf",
            "Exp",
            "Floor",
            "Gelu",
            "HardSigmoid",
            "HardSwish",
            "LeakyRelu",
        ),
        *("Log", "Neg", "Reciprocal", "Relu", "Round", "Sigmoid", "Sign", "Sin", "Softplus", "Sqrt", "Tanh"),
    )
)
_PAIRWISE = frozenset({"Add", "Div", "Max", "Min", "Mul", "Sub"})


def push_transposes(model: ir.Model) -> bool:
    """Move each transposition behind what acts on single numbers, and merge it with the next one."""
    modified = False
    for node in list(model.graph):
        if node.op_type == "Transpose":
            modified |= _merge(node)
        elif node.op_type in _POINTWISE or node.op_type == "Clip":
            modified |= _push_one(node)
        elif node.op_type in _PAIRWISE and len(node.inputs) == 2:
            modified |= _push_two(node)
    return modified


def _perm(value: ir.Value | None) -> list[int] | None:
    """How a value is transposed, when nobody else reads it."""
    node = value.producer() if value is not None else None
    if value is None or node is None or node.op_type != "Transpose" or only_reader(value) is None:
        return None
    return list(node.attributes.get_ints("perm", range(len(shape_of(value)))[::-1]))


def _merge(node: ir.Node) -> bool:
    inner = required(node, 0).producer()
    if inner is None or inner.op_type != "Transpose":
        return False
    first, second = (
        list(one.attributes.get_ints("perm", range(len(shape_of(node.outputs[0])))[::-1]))
        for one in (inner, node)
    )
    perm = [first[axis] for axis in second]
    source = required(inner, 0)
    is_identity = perm == sorted(perm)
    is_given = source.producer() is None or source.is_graph_output()
    if is_identity and node.outputs[0].is_graph_output() and is_given:
        return False  # a graph's output is computed by a node, for it alone
    replace_node(node, source if is_identity else add_before(node, "Transpose", [source], {"perm": perm}))
    return True


def _push_one(node: ir.Node) -> bool:
    perm = _perm(node.inputs[0])
    if perm is None:
        return False
    source = required(_producer(node, 0), 0)
    attributes = {name: attribute.value for name, attribute in node.attributes.items()}
    result = add_before(node, node.op_type, [source, *node.inputs[1:]], attributes)
    replace_node(node, add_before(node, "Transpose", [result], {"perm": perm}))
    return True


def _push_two(node: ir.Node) -> bool:
    perms = [_perm(value) for value in node.inputs]
    perm = perms[0] or perms[1]
    rank = len(shape_of(node.outputs[0]))
    if perm is None or len(perm) != rank:
        return False
    operands = []
    for index, own in enumerate(perms):
        array = array_of(required(node, index))
        if own == perm:
            operands.append(required(_producer(node, index), 0))
        elif array is not None:
            aligned = array.reshape((1,) * (rank - array.ndim) + array.shape)
            turned = aligned.transpose(np.argsort(perm))
            operands.append(constant_before(node, "constant", np.ascontiguousarray(turned)))
        else:
            return False
    result = add_before(node, node.op_type, operands)
    replace_node(node, add_before(node, "Transpose", [result], {"perm": perm}))
    return True


def _producer(node: ir.Node, index: int) -> ir.Node:
    producer = required(node, index).producer()
    assert producer is not None
    return producer
