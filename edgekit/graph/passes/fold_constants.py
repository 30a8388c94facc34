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
from edgekit.graph.ops import OPSET, infer_types
from edgekit.graph.values import Array, Shape, add_initializer, array_of, is_static, set_type, shape_of

__all__ = ["FOLDABLE", "fold_constants"]

# What exporters compute shapes and weights with; a network's layers are left to the network.
FOLDABLE = frozenset(
    (
        *("Abs", "Add", "Ceil", "Clip", "Div", "Exp", "Floor", "Log", "Max", "Min", "Mod", "Mul", "Neg"),
        *("Pow", "Reciprocal", "Relu", "Sigmoid", "Sqrt", "Sub", "Sum", "Tanh", "MatMul"),
        *("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum"),
        *("And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Or", "Where"),
        *("Cast", "Concat", "ConstantOfShape", "Expand", "Flatten", "Gather", "Identity", "Range"),
        *("Reshape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze"),
    )
)

_MAX_CONSTANT_ELEMENTS = 1 << 27
"""512 MiB of float32: the largest layer of a published network, VGG's first classifier, has 103 million."""


def fold_constants(model: ir.Model) -> bool:
    """Fold constants and infer types; afterwards every value has a static shape and a dtype.

    Raises :class:`~edgekit.errors.UnsupportedError` for an output that turns out to be a constant.
    """
    modified = False
    for value in model.graph.outputs:
        if value.const_value is not None:
            raise _not_computed(value)
    for node in list(model.graph):
        arrays = _evaluate(node)
        if arrays is not None:
            _replace(model.graph, node, arrays)
        elif all(is_static(value) and value.dtype is not None for value in node.outputs):
            continue
        else:
            infer_types(node)
        modified = True
    return modified


def _evaluate(node: ir.Node) -> Sequence[Array] | None:
    """The constants that the node computes, or None if it depends on the input."""
    if node.op_type == "Constant":
        return [_constant(node)]
    if node.op_type in ("Shape", "Size"):
        return _shape(node)
    if node.op_type == "CastLike":
        return _cast_like(node)
    if node.op_type not in FOLDABLE or any(v is not None and v.const_value is None for v in node.inputs):
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


def _shape(node: ir.Node) -> Sequence[Array]:
    shape = shape_of(node.inputs[0])
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

    arrays = {
        value.name or "": array for value in node.inputs if (array := array_of(value)) is not None and value
    }
    try:
        _require_moderate(node, [arrays[value.name or ""] for value in node.inputs if value is not None])
        # Overflow and division by zero are the constant's own business.
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            evaluator = ReferenceEvaluator(ir.serde.serialize_node(node), opsets={"": OPSET})
            results = evaluator.run(None, arrays)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as exc:
        raise UnsupportedError(f"node {node.name!r} ({node.op_type}) cannot be evaluated: {exc}") from exc
    return [np.asarray(result) for result in results]


def _require_moderate(node: ir.Node, arrays: Sequence[Array]) -> None:
    """Refuse to compute a constant that no network could hold."""
    elements = _elements(node.op_type, arrays)
    if elements > _MAX_CONSTANT_ELEMENTS:
        raise UnsupportedError(
            f"node {node.name!r} ({node.op_type}) computes a constant of {elements} numbers"
        )


def _elements(op_type: str, arrays: Sequence[Array]) -> int:
    """An upper bound of the result's size."""
    shapes: list[Shape] = [array.shape for array in arrays]
    if op_type == "ConstantOfShape":
        return _product(arrays[0])
    if op_type in ("Expand", "Tile"):
        return arrays[0].size * _product(arrays[1])
    if op_type == "Range":
        start, limit, delta = (float(array) for array in arrays)
        return math.ceil(abs((limit - start) / delta)) if delta else 0
    if op_type == "Gather":
        return arrays[1].size * arrays[0].size // max(min(shapes[0], default=1), 1)
    if op_type == "MatMul":
        inner = max(shapes[0][-1:], default=1) or 1
        return (arrays[0].size // inner) * (arrays[1].size // inner)
    if op_type in ("Concat", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"):
        return sum(array.size for array in arrays)
    if op_type.startswith("Reduce"):
        return arrays[0].size
    return math.prod(np.broadcast_shapes(*shapes))


def _product(numbers: Array) -> int:
    return math.prod(max(int(number), 1) for number in numbers.reshape(-1))


def _replace(graph: ir.Graph, node: ir.Node, arrays: Sequence[Array]) -> None:
    for value, array in zip(node.outputs, arrays, strict=True):
        if value.is_graph_output():
            raise _not_computed(value)
        name, value.name = value.name, None
        constant = add_initializer(graph, name or f"{node.name}.constant", array)
        set_type(constant, array.shape, ir.DataType.from_numpy(array.dtype))
        value.replace_all_uses_with(constant)
    graph.remove(node, safe=True)


def _not_computed(value: ir.Value) -> UnsupportedError:
    return UnsupportedError(
        f"graph output {value.name!r} does not depend on the input",
        hint="remove it from the model's outputs",
    )
