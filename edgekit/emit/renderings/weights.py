"""Weights stored in fewer bits and widened again when the file is loaded.

Each weight stands behind operators that fold to a constant, so that a runtime computes at full float
speed from a smaller file. What runs otherwise was measured in onnxruntime on x86 (EfficientNet-Lite0,
fp32 23 ms): float16 operators 30 ms, for they are cast to float32 and back one by one; ``ConvInteger``
on dynamically quantized activations 140 to 300 ms; ``DequantizeLinear``, which is not folded, 71 ms.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit.errors import CheckError
from edgekit.graph.ops import is_weighted
from edgekit.graph.values import add_initializer, array_of, set_type, shape_of

__all__ = ["store_half", "store_int8", "store_islands_half", "symmetric_int8"]

_FLOAT16_MAX = float(np.finfo(np.float16).max)
_INT8_LIMIT = 127  # -128 would make the range asymmetric
_LEAST_LIMIT = 100  # of the largest weight's integer, where rounding chose the scale by output error
_ON_GRID = 1e-3  # of a step: weights that are rounded differ by float32's precision


def symmetric_int8(
    weights: npt.NDArray[np.float32], axis: int
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Integers in [-127, 127] and one scale for each slice along ``axis``, by its largest magnitude.

    The scales keep the weights' rank: ``integers * scales`` gives the weights back. Weights that lie on a
    grid of fewer steps, since they were rounded before, keep it.
    """
    others = tuple(i for i in range(weights.ndim) if i != axis)
    peaks = np.abs(weights).max(axis=others, keepdims=True)
    scales = _scales(peaks, _INT8_LIMIT)
    found = np.zeros(scales.shape, bool)
    for limit in range(_INT8_LIMIT, _LEAST_LIMIT - 1, -1):
        tried = _scales(peaks, limit)
        steps = weights / tried
        fits = np.abs(steps - np.rint(steps)).max(axis=others, keepdims=True) < _ON_GRID
        scales = np.where(fits & ~found, tried, scales)
        found |= fits
        if found.all():
            break
    integers = np.clip(np.rint(weights / scales), -_INT8_LIMIT, _INT8_LIMIT).astype(np.int8)
    return integers, scales


def _scales(peaks: npt.NDArray[np.float32], limit: int) -> npt.NDArray[np.float32]:
    """At which the largest magnitudes are ``limit`` steps; 1 where all is zero."""
    scales: npt.NDArray[np.float32] = np.where(peaks > 0, peaks / np.float32(limit), np.float32(1))
    return scales.astype(np.float32)


def store_half(model: ir.Model) -> bool:
    """Store weights and biases as float16 behind a ``Cast``.

    Raises CheckError for values beyond float16's range.
    """
    found = _weights(model, 1) + _weights(model, 2)
    for value in found:
        if not _fits_half(value):
            raise CheckError(
                f"{value.name} holds values beyond float16's {_FLOAT16_MAX:g}", hint="export with fp32"
            )
        _halve(model.graph, value)
    return bool(found)


def store_islands_half(model: ir.Model) -> bool:
    """Store what weights an int8 graph has left float as float16; those beyond its range stay float32."""
    found = [value for value in _weights(model, 1) if _fits_half(value)]
    for value in found:
        _halve(model.graph, value)
    return bool(found)


def _fits_half(value: ir.Value) -> bool:
    return bool(np.abs(_float_array(value)).max(initial=0.0) <= _FLOAT16_MAX)


def _halve(graph: ir.Graph, value: ir.Value) -> None:
    half = add_initializer(graph, f"{value.name}.half", _float_array(value).astype(np.float16))
    _replace(graph, value, [_widened(half, value)])


def store_int8(model: ir.Model) -> bool:
    """Store weights as int8 with one float32 scale for each output channel; biases stay float32."""
    graph = model.graph
    found = _weights(model, 1)
    for value in found:
        integers, scales = symmetric_int8(_float_array(value), _channel_axis(value))
        stored = add_initializer(graph, f"{value.name}.int8", integers)
        widen = _widened(stored, value)
        scale = add_initializer(graph, f"{value.name}.scale", scales)
        multiply = ir.node("Mul", [widen.outputs[0], scale], name=f"{value.name}.rescale")
        _describe(multiply, value)
        _replace(graph, value, [widen, multiply])
    return bool(found)


def _weights(model: ir.Model, index: int) -> list[ir.Value]:
    """Float constants at input ``index`` of the layers that have weights, each once."""
    found = {}
    for node in model.graph:
        value = node.inputs[index] if is_weighted(node) and len(node.inputs) > index else None
        array = array_of(value)
        if value is not None and array is not None and array.dtype == np.float32:
            found[value.name] = value
    return list(found.values())


def _float_array(value: ir.Value) -> npt.NDArray[np.float32]:
    array = array_of(value)
    assert array is not None
    return array.astype(np.float32, copy=False)


def _channel_axis(value: ir.Value) -> int:
    """The axis of output channels: 0 in Conv's OIHW, 1 in ConvTranspose's IOHW, the last in MatMul's."""
    node = next(iter(value.uses())).node
    if node.op_type == "Gemm":
        return 0 if node.attributes.get_int("transB", 0) else 1
    return {"Conv": 0, "ConvTranspose": 1}.get(node.op_type, len(shape_of(value)) - 1)


def _widened(stored: ir.Value, value: ir.Value) -> ir.Node:
    node = ir.node("Cast", [stored], {"to": int(ir.DataType.FLOAT)}, name=f"{value.name}.widen")
    _describe(node, value)
    return node


def _describe(node: ir.Node, value: ir.Value) -> None:
    node.outputs[0].name = f"{node.name}ed" if node.op_type == "Cast" else f"{node.name}d"
    set_type(node.outputs[0], shape_of(value), ir.DataType.FLOAT)


def _replace(graph: ir.Graph, value: ir.Value, nodes: list[ir.Node]) -> None:
    name = value.name
    assert name is not None
    ir.convenience.replace_all_uses_with(value, nodes[-1].outputs[0])
    graph.insert_before(next(iter(graph)), nodes)
    graph.initializers.pop(name)
