"""Infer every value's static shape and turn what is constant into initializers.

Both go together in one sweep: a shape may hang on a computed constant (``Shape`` → ``Gather`` →
``Concat`` → ``Reshape``), and a constant on a shape. Constant subexpressions are evaluated by the onnx
package's reference implementation.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
import onnx_ir as ir

from edgekit.errors import UnsupportedError
from edgekit.graph.ops import OPERATORS, OPSET, TRANSIENT, infer_types, operator_of
from edgekit.graph.shapes import infer_by_onnx
from edgekit.graph.values import Array, add_initializer, array_of, is_static, set_type, shape_of

__all__ = ["fold_constants"]

_RANDOM = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
)

_MAX_CONSTANT_BYTES = 2 << 30
"""Protobuf cannot hold a larger constant, so no useful network computes one."""


def fold_constants(model: ir.Model) -> bool:
    """Fold constants and infer types; afterwards every value has a static shape and a dtype."""
    modified = False
    for node in list(model.graph):
        modified |= _infer(node)
        arrays = _evaluate(node)
        if arrays is None:
            _require_types(node)
            continue
        _replace(model.graph, node, arrays)
        modified = True
    return modified


def _infer(node: ir.Node) -> bool:
    """Set the outputs' shapes where they are not known yet."""
    if node.op_type == "Constant" or all(is_static(v) and v.dtype is not None for v in node.outputs):
        return False
    if len(node.outputs) == 1 and (node.op_type in OPERATORS or node.op_type in TRANSIENT):
        if _has_types(node):
            infer_types(node)
        return True
    if not node.outputs:
        return False
    if node.domain:
        operator_of(node)  # raises the error that names it
    for value, (shape, dtype) in zip(node.outputs, infer_by_onnx(node), strict=True):
        value.type = ir.TensorType(dtype)
        value.shape = None if shape is None else ir.Shape(shape)
    return True


def _has_types(node: ir.Node) -> bool:
    return all(value is None or is_static(value) for value in node.inputs)


def _require_types(node: ir.Node) -> None:
    for value in node.outputs:
        if is_static(value) or not (value.uses() or value.is_graph_output()):
            continue
        raise UnsupportedError(
            f"the shape of {value.name!r} is not static: node {node.name!r} ({node.op_type})",
            hint="shapes must not depend on the image; export the model with a static input shape",
        )


def _evaluate(node: ir.Node) -> Sequence[Array] | None:
    """The constants that the node computes, or None if it depends on the input."""
    if node.op_type == "Constant":
        return [_constant(node)]
    if node.op_type in ("Shape", "Size"):
        return _shape(node)
    if node.op_type == "CastLike":
        return _cast_like(node)
    if node.op_type in _RANDOM or any(v is not None and v.const_value is None for v in node.inputs):
        return None
    return _by_reference(node)


def _constant(node: ir.Node) -> Array:
    for name, attribute in node.attributes.items():
        if name == "value":
            tensor: Array = attribute.as_tensor().numpy()
            return tensor
        if name in ("value_float", "value_floats"):
            return np.asarray(attribute.value, np.float32)
        if name in ("value_int", "value_ints"):
            return np.asarray(attribute.value, np.int64)
    raise UnsupportedError(
        f"node {node.name!r} (Constant) holds {sorted(node.attributes)}, expected a tensor"
    )


def _shape(node: ir.Node) -> Sequence[Array] | None:
    source = node.inputs[0]
    if source is None or not is_static(source):
        return None
    shape = shape_of(source)
    if node.op_type == "Size":
        return [np.asarray(math.prod(shape), np.int64)]
    start, end = node.attributes.get_int("start", 0), node.attributes.get_int("end", len(shape))
    return [np.asarray(shape[start:end], np.int64)]


def _cast_like(node: ir.Node) -> Sequence[Array] | None:
    """A constant cast to the type of a value that need not be one."""
    array, like = array_of(node.inputs[0]), node.inputs[1]
    if array is None or like is None or like.dtype is None:
        return None
    return [array.astype(like.dtype.numpy())]


def _by_reference(node: ir.Node) -> Sequence[Array]:
    from onnx.reference import ReferenceEvaluator

    operand_bytes = sum(
        math.prod(shape_of(v)) * (v.dtype.bitwidth if v.dtype else 32) // 8
        for v in node.outputs
        if is_static(v)
    )
    if operand_bytes > _MAX_CONSTANT_BYTES:
        raise UnsupportedError(
            f"node {node.name!r} ({node.op_type}) computes a constant of {operand_bytes} bytes"
        )
    feeds = {v.name or "": array_of(v) for v in node.inputs if v is not None}
    try:
        # Overflow and division by zero are the constant's own business.
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            evaluator = ReferenceEvaluator(ir.serde.serialize_node(node), opsets={"": OPSET})
            results = evaluator.run(None, feeds)
    except (
        RuntimeError,
        ValueError,
        TypeError,
        IndexError,
        KeyError,
        AttributeError,
        NotImplementedError,
    ) as exc:
        raise UnsupportedError(f"node {node.name!r} ({node.op_type}) cannot be evaluated: {exc}") from exc
    return [np.asarray(result) for result in results]


def _replace(graph: ir.Graph, node: ir.Node, arrays: Sequence[Array]) -> None:
    for value, array in zip(node.outputs, arrays, strict=True):
        if value.is_graph_output():
            raise UnsupportedError(f"graph output {value.name!r} does not depend on the input")
        name, value.name = value.name, None
        constant = add_initializer(graph, name or f"{node.name}.constant", array)
        set_type(constant, array.shape, ir.DataType.from_numpy(array.dtype))
        value.replace_all_uses_with(constant)
    graph.remove(node, safe=True)
