"""Keeping weights out of the way while a file's graph is checked and converted.

The onnx package's checker and converter serialize the whole model several times. They need no weights:
large constants are lifted out of the graph, which keeps typed inputs in their place, and put back as arrays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import onnx
import onnx_ir as ir

from edgekit.errors import ModelFileError
from edgekit.graph.values import Array, set_type

__all__ = ["lift_weights", "restore_weights"]

# Scales, axes and shapes, which a conversion may have to read, are smaller.
_MAX_KEPT_ELEMENTS = 1024


def lift_weights(graph: onnx.GraphProto) -> dict[str, onnx.TensorProto]:
    """Take large constants out of the graph, leaving inputs of their name and type."""
    large = {t.name: t for t in graph.initializer if math.prod(t.dims) > _MAX_KEPT_ELEMENTS}
    small = [tensor for tensor in graph.initializer if tensor.name not in large]
    declared = {value.name for value in graph.input}
    for name, tensor in large.items():
        if name not in declared:
            graph.input.append(onnx.helper.make_tensor_value_info(name, tensor.data_type, tensor.dims))
    del graph.initializer[:]
    graph.initializer.extend(small)
    return large


def restore_weights(graph: ir.Graph, weights: Mapping[str, onnx.TensorProto]) -> None:
    """Turn the inputs that stand for lifted constants into initializers again.

    All initializers become arrays in memory. Raises :class:`ModelFileError` naming a constant whose
    data does not fit its shape.
    """
    for value in list(graph.inputs):
        name = value.name or ""
        if name not in weights:
            continue
        graph.inputs.remove(value)
        value.const_value = _tensor(weights[name])
        graph.register_initializer(value)
    for name, value in graph.initializers.items():
        if value.const_value is not None:
            array = _array(name, value.const_value)
            value.const_value = ir.Tensor(array, dtype=value.const_value.dtype, name=name)
            set_type(value, array.shape, value.const_value.dtype)


def _tensor(proto: onnx.TensorProto) -> ir.TensorProtocol:
    try:
        return ir.serde.deserialize_tensor(proto)
    except (ir.serde.SerdeError, ValueError, TypeError) as exc:
        raise ModelFileError(
            f"constant {proto.name!r} cannot be read: its type is {proto.data_type}",
            hint="export or download the file again",
        ) from exc


def _array(name: str, tensor: ir.TensorProtocol) -> Array:
    try:
        return np.array(tensor.numpy())
    except (ValueError, TypeError) as exc:
        raise ModelFileError(
            f"the data of constant {name!r} does not fit its shape {list(tensor.shape)}: {exc}",
            hint="export or download the file again",
        ) from exc
