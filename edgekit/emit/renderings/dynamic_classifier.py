"""The classifier with int8 weights and activations quantized at run time.

onnxruntime fuses this to one ``DynamicQuantizeMatMul``, which reads a quarter of the bytes of the
float matrix. Convolutions have no such kernel worth calling; see :mod:`edgekit.emit.renderings.weights`.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit.emit.renderings.weights import symmetric_int8
from edgekit.graph.edit import constant_before, replace_node
from edgekit.graph.pair_sums import pair_bounds, pair_scale, pairs_of
from edgekit.graph.values import array_of, set_type, shape_of

__all__ = ["quantize_classifier_dynamically"]


def quantize_classifier_dynamically(model: ir.Model) -> bool:
    """Replace each ``Gemm`` of a constant ``[out, in]`` matrix by integer arithmetic, in place."""
    found = [node for node in model.graph if node.op_type == "Gemm" and array_of(node.inputs[1]) is not None]
    for node in found:
        name = node.outputs[0].name
        product = _integer_product(model.graph, node)
        replace_node(node, product)
        product.name = name
    return bool(found)


def _integer_product(graph: ir.Graph, node: ir.Node) -> ir.Value:
    matrix = array_of(node.inputs[1])
    assert matrix is not None
    integers, scales = _fitting_pairs(node, matrix.astype(np.float32))
    weight = constant_before(node, "weight.int8", np.ascontiguousarray(integers.T))
    scale = constant_before(node, "weight.scale", scales.reshape(-1))
    quantized, source_scale, zero_point = _quantized_source(graph, node)
    integer = _add(graph, node, "MatMulInteger", [quantized, weight, zero_point], ir.DataType.INT32)
    real = _add(graph, node, "Cast", [integer], ir.DataType.FLOAT, {"to": int(ir.DataType.FLOAT)})
    product_scale = _add(graph, node, "Mul", [source_scale, scale], ir.DataType.FLOAT)
    set_type(product_scale, scales.reshape(-1).shape, ir.DataType.FLOAT)
    scaled = _add(graph, node, "Mul", [real, product_scale], ir.DataType.FLOAT)
    if len(node.inputs) < 3 or node.inputs[2] is None:
        return scaled
    return _add(graph, node, "Add", [scaled, node.inputs[2]], ir.DataType.FLOAT)


def _fitting_pairs(
    node: ir.Node, matrix: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Integers ``[out, in]`` and scales ``[out, 1]`` with which no kernel's sum of two products saturates."""
    _, scales = symmetric_int8(matrix, axis=0)
    pairs = pairs_of(node, matrix)
    assert pairs is not None
    wide_enough: npt.NDArray[np.float32] = np.maximum(scales, pair_scale(matrix, pairs)[:, None])
    steps: npt.NDArray[np.float32] = matrix / wide_enough
    return np.rint(steps).clip(*pair_bounds(steps, pairs)).astype(np.int8), wide_enough


def _quantized_source(graph: ir.Graph, node: ir.Node) -> tuple[ir.Value, ir.Value, ir.Value]:
    """uint8 integers, scale and zero point of the node's input, each computed at run time."""
    source = node.inputs[0]
    assert source is not None
    quantize = ir.node("DynamicQuantizeLinear", [source], num_outputs=3, name=f"{node.name}.quantize")
    shapes = (shape_of(source), (), ())
    dtypes = (ir.DataType.UINT8, ir.DataType.FLOAT, ir.DataType.UINT8)
    names = ("quantized", "scale", "zero_point")
    for value, name, shape, dtype in zip(quantize.outputs, names, shapes, dtypes, strict=True):
        value.name = f"{node.name}.input.{name}"
        set_type(value, shape, dtype)
    graph.insert_before(node, quantize)
    integers, scale, zero_point = quantize.outputs
    return integers, scale, zero_point


def _add(
    graph: ir.Graph,
    node: ir.Node,
    op_type: str,
    inputs: list[ir.Value],
    dtype: ir.DataType,
    attributes: dict[str, int] | None = None,
) -> ir.Value:
    added = ir.node(op_type, inputs, attributes or {})
    graph.insert_before(node, added)
    added.name = added.outputs[0].name
    set_type(added.outputs[0], shape_of(node.outputs[0]), dtype)
    return added.outputs[0]
