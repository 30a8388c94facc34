"""ReLU-like activations: fused into the operator before them where TFLite can, operators where not."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.lowering import Lowering, name_of
from edgekit.emit.tflite.program import Array, Quantization
from edgekit.emit.tflite.schema import schema
from edgekit.graph import qdq
from edgekit.graph.values import only_reader

__all__ = ["absorb_activation", "lower_clip"]

Bounds = tuple[float, float]

_FUSED: dict[Bounds, int] = {
    (-math.inf, math.inf): schema.ActivationFunctionType.NONE,
    (0.0, math.inf): schema.ActivationFunctionType.RELU,
    (0.0, 6.0): schema.ActivationFunctionType.RELU6,
    (-1.0, 1.0): schema.ActivationFunctionType.RELU_N1_TO_1,
}
_OPERATORS: dict[Bounds, str] = {(0.0, math.inf): "RELU", (0.0, 6.0): "RELU6", (-1.0, 1.0): "RELU_N1_TO_1"}


def _bounds(node: ir.Node) -> Bounds:
    if node.op_type == "Relu":
        return 0.0, math.inf
    limits = [-math.inf, math.inf]
    for position, value in enumerate(node.inputs[1:3]):
        array = qdq.constant(value)
        if array is not None:
            limits[position] = float(array.reshape(-1)[0])
    return limits[0], limits[1]


def _is_saturated(bounds: Bounds, quantization: Quantization | None) -> bool:
    """Whether an integer tensor's own range keeps it within ``bounds``, to half a step."""
    if quantization is None:
        return False
    scale = float(quantization.scale[0])
    low, high = ((limit - quantization.zero_point) * scale for limit in quantization.limits)
    return low >= bounds[0] - scale / 2 and high <= bounds[1] + scale / 2


def absorb_activation(lowering: Lowering, value: ir.Value) -> tuple[int, ir.Value]:
    """Fused activation code for the operator that computes ``value``, and the value it then computes.

    An activation is absorbed when nothing else reads ``value`` and TFLite has a fused code for it, or,
    in an int8 graph, when the quantized range of its output already is the activation.
    """
    none = schema.ActivationFunctionType.NONE
    reader = only_reader(value)
    if reader is None or reader.op_type not in ("Relu", "Clip"):
        return none, value
    bounds, output = _bounds(reader), reader.outputs[0]
    if bounds not in _FUSED and not _is_saturated(bounds, lowering.parameters_for(output)):
        return none, value
    lowering.absorbed.add(reader)
    return _FUSED.get(bounds, none), output


def _limit(lowering: Lowering, code: str, source: int, limit: float, target: int) -> None:
    """``target`` = minimum or maximum of ``source`` and ``limit``; both tensors have one quantization."""
    real = np.asarray([limit], np.float32)
    tensor = lowering.program.tensors[source]
    if tensor.quantization is not None:
        steps = np.round(real / tensor.quantization.scale) + tensor.quantization.zero_point
        data: Array = np.clip(steps, *tensor.quantization.limits).astype(tensor.dtype)
    else:
        data = real
    constant = lowering.program.add_constant(f"{tensor.name}.limit", data, tensor.quantization)
    lowering.program.add_operator(code, [source, constant], [target])


def _requantized(lowering: Lowering, source: int, value: ir.Value) -> int:
    """``source`` with the quantization that ``value`` will have; saturation does most of the clipping."""
    parameters = lowering.parameters_for(value, inherit=source)
    if parameters is None or parameters.same_as(lowering.quantization(source)):
        return source
    shape = lowering.program.tensors[source].shape
    target = lowering.program.add_tensor(f"{value.name}.requantized", shape, parameters.dtype, parameters)
    lowering.program.add_operator("QUANTIZE", [source], [target])
    return target


def lower_clip(lowering: Lowering, node: ir.Node) -> None:
    """``Relu`` or ``Clip`` that no operator absorbed.

    In an int8 graph a change of scale saturates to the output's range, which usually is the activation;
    MINIMUM and MAXIMUM do the rest, because they compare integers of one scale.
    """
    value, bounds = node.outputs[0], _bounds(node)
    held = lowering.stored(node.inputs[0])
    source, layout = held.index, held.layout
    if not lowering.integer and bounds in _OPERATORS:
        target = lowering.result(value, layout=layout)
        lowering.program.add_operator(_OPERATORS[bounds], [source], [target])
        return
    source = _requantized(lowering, source, value)
    quantization = lowering.program.tensors[source].quantization
    limits = [
        (code, limit)
        for code, limit, alone in (
            ("MINIMUM", bounds[1], (-math.inf, bounds[1])),
            ("MAXIMUM", bounds[0], (bounds[0], math.inf)),
        )
        if math.isfinite(limit) and not _is_saturated(alone, quantization)
    ]
    for position, (code, limit) in enumerate(limits):
        last = position == len(limits) - 1
        target = (
            lowering.result(value, inherit=source, layout=layout)
            if last
            else lowering.intermediate(f"{name_of(value)}.limited", like=source)
        )
        _limit(lowering, code, source, limit, target)
        source = target
    lowering.bind(value, source, layout)
