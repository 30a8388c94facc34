"""Write fully connected layers as ``Gemm`` with weight ``[out, in]``, a bias and no factors."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.graph.edit import add_before, constant_before, replace_node
from edgekit.graph.values import Array, array_of, required, shape_of

__all__ = ["normalize_classifier"]


def normalize_classifier(model: ir.Model) -> bool:
    """Rewrite ``Gemm``, and ``MatMul`` of a matrix by a constant matrix."""
    modified = False
    for node in list(model.graph):
        if node.op_type == "MatMul" and _is_linear(node):
            _replace(node, np.asarray(array_of(node.inputs[1])).T, None)
        elif node.op_type == "Gemm" and not _is_canonical(node):
            _replace_gemm(node)
        else:
            continue
        modified = True
    return modified


def _is_linear(node: ir.Node) -> bool:
    weight = array_of(required(node, 1))
    return weight is not None and weight.ndim == 2 and len(shape_of(required(node, 0))) == 2


def _is_canonical(node: ir.Node) -> bool:
    attributes = node.attributes
    bias = array_of(node.inputs[2]) if len(node.inputs) > 2 else None
    return (
        attributes.get_float("alpha", 1.0) == 1.0
        and attributes.get_float("beta", 1.0) == 1.0
        and not attributes.get_int("transA", 0)
        and attributes.get_int("transB", 0) == 1
        and bias is not None
        and bias.shape == shape_of(node.outputs[0])[1:]
        and array_of(required(node, 1)) is not None
        and set(attributes) == {"transB"}
    )


def _replace_gemm(node: ir.Node) -> None:
    attributes = node.attributes
    weight = array_of(required(node, 1))
    if weight is None:
        _replace_by_product(node)
        return
    transposed = weight if attributes.get_int("transB", 0) else weight.T
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    _replace(node, transposed * np.float32(attributes.get_float("alpha", 1.0)), bias)


def _replace_by_product(node: ir.Node) -> None:
    """A product of two computed matrices is no layer: ``alpha · A · B + beta · C``, operator by operator."""
    operands = [
        add_before(node, "Transpose", [required(node, i)], {"perm": [1, 0]})
        if node.attributes.get_int(name, 0)
        else required(node, i)
        for i, name in enumerate(("transA", "transB"))
    ]
    result = _scaled(node, add_before(node, "MatMul", operands), "alpha")
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        result = add_before(node, "Add", [result, _scaled(node, required(node, 2), "beta")])
    replace_node(node, result)


def _scaled(node: ir.Node, value: ir.Value, name: str) -> ir.Value:
    factor = node.attributes.get_float(name, 1.0)
    if factor == 1:
        return value
    return add_before(node, "Mul", [value, constant_before(node, name, np.asarray(factor, np.float32))])


def _replace(node: ir.Node, weight: Array, bias: ir.Value | None) -> None:
    """``weight`` is [out, in]; a computed bias, or one that differs by row, stays an addition."""
    source = required(node, 0)
    if node.attributes.get_int("transA", 0):
        source = add_before(node, "Transpose", [source], {"perm": [1, 0]})
    beta = np.float32(node.attributes.get_float("beta", 1.0))
    folded = _row_bias(bias, len(weight))
    vector = np.zeros(len(weight), np.float32) if folded is None else folded * beta
    inputs = [source, constant_before(node, "weight", weight), constant_before(node, "bias", vector)]
    result = add_before(node, "Gemm", inputs, {"transB": 1})
    if bias is not None and folded is None:
        if beta != 1:
            bias = add_before(node, "Mul", [bias, constant_before(node, "beta", np.asarray(beta))])
        result = add_before(node, "Add", [result, bias])
    replace_node(node, result)


def _row_bias(bias: ir.Value | None, size: int) -> Array | None:
    array = array_of(bias)
    if array is None or array.size not in (1, size) or array.shape[-1:] not in ((), (1,), (size,)):
        return None
    return np.broadcast_to(array.reshape(-1), (size,)).astype(np.float32)
