"""Reading and building onnx_ir nodes and values with static shapes.

onnx_ir leaves shape, dtype and constants of a value optional; the canonical graph never does. These
helpers say so in one place: they return plain tuples and arrays, and raise when a value has none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit.errors import GraphError, UnsupportedError

__all__ = [
    "Array",
    "AttributeValue",
    "Shape",
    "add_initializer",
    "array_of",
    "attribute",
    "is_static",
    "new_node",
    "only_reader",
    "op_of",
    "required",
    "set_type",
    "shape_of",
]

Array = npt.NDArray[np.generic]
AttributeValue = int | float | str | Sequence[int] | Sequence[float]
Shape = tuple[int, ...]


def is_static(value: ir.Value) -> bool:
    """Whether every dimension of the value is a known integer."""
    return value.shape is not None and all(isinstance(dim, int) for dim in value.shape)


def shape_of(value: ir.Value | None) -> Shape:
    """Static shape of a value; :class:`GraphError` when a dimension is unknown."""
    if value is None or value.shape is None:
        raise GraphError(f"value {value.name if value is not None else None!r} has no shape")
    dims = []
    for dim in value.shape:
        if not isinstance(dim, int):
            raise GraphError(f"value {value.name!r} has a symbolic dimension: {value.shape}")
        dims.append(dim)
    return tuple(dims)


def array_of(value: ir.Value | None) -> Array | None:
    """The array of an initializer, or None for a value that is computed or absent."""
    if value is None or value.const_value is None:
        return None
    return value.const_value.numpy()


def required(node: ir.Node, index: int) -> ir.Value:
    """Input ``index`` of a node; :class:`UnsupportedError` when the node has none there."""
    value = node.inputs[index] if index < len(node.inputs) else None
    if value is None:
        raise UnsupportedError(f"node {node.name!r} ({node.op_type}) lacks its input {index}")
    return value


def op_of(value: ir.Value | None) -> str:
    """Operator that computes the value, or an empty string for inputs and initializers."""
    producer = value.producer() if value is not None else None
    return producer.op_type if producer is not None else ""


def attribute(name: str, value: AttributeValue) -> ir.Attr:
    """A node attribute of the type that the Python value stands for; an empty sequence is of integers."""
    if isinstance(value, str):
        return ir.AttrString(name, value)
    if isinstance(value, (int, np.integer)):
        return ir.AttrInt64(name, int(value))
    if isinstance(value, float):
        return ir.AttrFloat32(name, value)
    if any(isinstance(item, float) for item in value):
        return ir.AttrFloat32s(name, [float(item) for item in value])
    return ir.AttrInt64s(name, [int(item) for item in value])


def new_node(
    op_type: str,
    inputs: Sequence[ir.Value | None],
    attributes: Mapping[str, AttributeValue] | None,
    metadata: Mapping[str, str],
) -> ir.Node:
    """A node with one output in the default domain, in no graph yet."""
    return ir.Node(
        "",
        op_type,
        inputs,
        [attribute(name, value) for name, value in (attributes or {}).items()],
        metadata_props=dict(metadata),
    )


def only_reader(value: ir.Value) -> ir.Node | None:
    """The single node that reads the value, or None if several do or the graph returns it."""
    uses = value.uses()
    if len(uses) != 1 or value.is_graph_output():
        return None
    return next(iter(uses)).node


def set_type(value: ir.Value, shape: Sequence[int], dtype: ir.DataType) -> None:
    """Give a value its static shape and dtype."""
    value.shape = ir.Shape(shape)
    value.type = ir.TensorType(dtype)


def add_initializer(graph: ir.Graph, name: str, array: Array) -> ir.Value:
    """Register a constant under ``name``, or under ``name_2``, ``name_3`` … when it is taken."""
    unique, count = name, 1
    while unique in graph.initializers:
        count += 1
        unique = f"{name}_{count}"
    # ir.Tensor rather than ir.tensor, which spends most of a capture on finding out what it was given.
    value = ir.val(unique, const_value=ir.Tensor(np.asarray(array, order="C"), name=unique))
    graph.register_initializer(value)
    return value
