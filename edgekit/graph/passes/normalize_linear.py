"""Write products with matrices so that every format and the quantizer know them.

A fully connected layer over the last axis of anything but rows is a convolution by 1 × 1, between
transpositions that other passes cancel: weights are then quantized per channel like any other. Products of
two computed matrices have operands of one rank.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from edgekit.graph.edit import add_before, constant_before, drop_node, replace_node
from edgekit.graph.values import Array, array_of, only_reader, required, shape_of

__all__ = ["normalize_linear"]


def normalize_linear(model: ir.Model) -> bool:
    """Rewrite ``MatMul``, and ``Gemm`` of several rows by constant weights."""
    modified = False
    for node in list(model.graph):
        if node.op_type == "Gemm" and _has_rows(node):
            _replace_gemm(node)
            modified = True
    for node in list(model.graph):
        if node.op_type != "MatMul" or node.graph is None:
            continue
        weight = array_of(required(node, 1))
        rank = len(shape_of(required(node, 0)))
        rows = shape_of(required(node, 0))[0] if rank else 0
        if weight is not None and weight.ndim == 2 and (rank > 2 or (rank == 2 and rows != 1)):
            _replace_by_convolution(node, weight)
            modified = True
        elif weight is None or rank != 2:
            modified |= _align(node)
    return modified


def _has_rows(node: ir.Node) -> bool:
    """Whether it is a layer over rows of one image rather than over one row for each."""
    return array_of(required(node, 1)) is not None and shape_of(node.outputs[0])[0] != 1


def _replace_gemm(node: ir.Node) -> None:
    attributes, source, weight = node.attributes, required(node, 0), array_of(required(node, 1))
    if attributes.get_int("transA", 0):
        source = add_before(node, "Transpose", [source], {"perm": [1, 0]})
    matrix = np.asarray(weight).T if attributes.get_int("transB", 0) else np.asarray(weight)
    scaled = matrix * np.float32(attributes.get_float("alpha", 1.0))
    result = add_before(node, "MatMul", [source, constant_before(node, "weight", scaled)])
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is not None:
        array, beta = array_of(bias), np.float32(attributes.get_float("beta", 1.0))
        if array is None:
            shift = add_before(node, "Mul", [bias, constant_before(node, "beta", np.asarray(beta))])
        else:
            shift = constant_before(node, "bias", array * beta)
        result = add_before(node, "Add", [result, shift])
    replace_node(node, result)


def _replace_by_convolution(node: ir.Node, weight: Array) -> None:
    source = required(node, 0)
    shape, (inner, made) = shape_of(source), weight.shape
    bias, last = _bias(node, made)
    image = (1, math.prod(shape[:-2]), shape[-2], inner)  # whatever comes first, the rows are of one image
    seen = source if shape == image else _reshaped(node, source, image)
    turned = add_before(node, "Transpose", [seen], {"perm": [0, 3, 1, 2]})
    kernel = np.ascontiguousarray(weight.T).reshape(made, inner, 1, 1)
    inputs = [turned, constant_before(node, "weight", kernel), constant_before(node, "bias", bias)]
    attributes = {"kernel_shape": [1, 1], "strides": [1, 1], "dilations": [1, 1], "pads": [0, 0, 0, 0]}
    product = add_before(node, "Conv", inputs, {**attributes, "group": 1})
    result = add_before(node, "Transpose", [product], {"perm": [0, 2, 3, 1]})
    result = result if shape == image else _reshaped(node, result, (*shape[:-1], made))
    replace_node(last, result)
    if last is not node:
        drop_node(node)


def _bias(node: ir.Node, size: int) -> tuple[Array, ir.Node]:
    """The vector that is added to the product, and the last node of the two."""
    reader = only_reader(node.outputs[0])
    if reader is not None and reader.op_type == "Add":
        for value in reader.inputs:
            array = array_of(value)
            if array is not None and array.shape in ((size,), (1, size), (1, 1, size)):
                return array.reshape(-1).astype(np.float32), reader
    return np.zeros(size, np.float32), node


def _align(node: ir.Node) -> bool:
    """Operands of one rank, two or more, by leading dimensions of 1."""
    shapes = [shape_of(required(node, index)) for index in (0, 1)]
    wanted = [
        shapes[0] if len(shapes[0]) > 1 else (1, *shapes[0]),
        shapes[1] if len(shapes[1]) > 1 else (*shapes[1], 1),
    ]
    rank = max(len(shape) for shape in wanted)
    wanted = [(1,) * (rank - len(shape)) + shape for shape in wanted]
    if wanted == shapes:
        return False
    operands = [
        required(node, index)
        if wanted[index] == shapes[index]
        else _reshaped(node, required(node, index), wanted[index])
        for index in (0, 1)
    ]
    product = add_before(node, "MatMul", operands)
    replace_node(node, _reshaped(node, product, shape_of(node.outputs[0])))
    return True


def _reshaped(node: ir.Node, value: ir.Value, shape: tuple[int, ...]) -> ir.Value:
    array = array_of(value)
    if array is not None:
        return constant_before(node, "matrix", array.reshape(shape))
    return add_before(node, "Reshape", [value, constant_before(node, "shape", np.array(shape, np.int64))])
