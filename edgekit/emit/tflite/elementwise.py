"""Element-wise operators: arithmetic with broadcasting, and the smooth activations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.activation import absorb_activation
from edgekit.emit.tflite.layout import broadcast_in_file
from edgekit.emit.tflite.lowering import Lowering, name_of
from edgekit.emit.tflite.program import Array, Quantization
from edgekit.emit.tflite.schema import schema
from edgekit.errors import CheckError, UnsupportedError
from edgekit.graph import qdq
from edgekit.graph.values import shape_of

__all__ = ["binary", "lower_div", "lower_hard_sigmoid", "lower_leaky_relu", "unary"]

Lower = Callable[[Lowering, ir.Node], None]


def _constant(lowering: Lowering, node: ir.Node, value: ir.Value | None, rank: int) -> int | None:
    """Tensor of a constant operand, or None for a computed one."""
    quantized = qdq.dequantized_constant(value)
    if quantized is not None and quantized.values is not None:
        if quantized.scale.size != 1:
            raise UnsupportedError(f"{node.name} ({node.op_type}): its constant is quantized per channel")
        parameters = Quantization(quantized.scale.reshape(1), quantized.zero_point)
        values: Array = np.asarray(quantized.values)
        return lowering.program.add_constant(
            f"{node.name}.constant", broadcast_in_file(values, rank), parameters
        )
    array = qdq.constant(value)
    if array is None:
        return None
    if lowering.integer:
        raise CheckError(f"{node.name} ({node.op_type}) has a constant that is not quantized")
    return lowering.program.add_constant(f"{node.name}.constant", broadcast_in_file(array, rank))


def _operands(lowering: Lowering, node: ir.Node) -> list[int]:
    rank = len(shape_of(node.outputs[0]))
    operands = []
    for value in node.inputs:
        constant = _constant(lowering, node, value, rank)
        if constant is None and len(shape_of(value)) != rank:
            raise UnsupportedError(
                f"{node.name} ({node.op_type}) broadcasts {value.name if value else None} of another rank: "
                f"{shape_of(value)} to {shape_of(node.outputs[0])}"
            )
        operands.append(lowering.operand(value) if constant is None else constant)
    return operands


def binary(code: str) -> Lower:
    """Lowering of a two-operand arithmetic operator with a fused activation."""

    def lower(lowering: Lowering, node: ir.Node) -> None:
        operands = _operands(lowering, node)
        fused, value = absorb_activation(lowering, node.outputs[0])
        target = lowering.result(value)
        lowering.program.add_operator(code, operands, [target], fusedActivationFunction=fused)

    return lower


def lower_div(lowering: Lowering, node: ir.Node) -> None:
    """DIV, which has no int8 kernel."""
    if lowering.integer:
        raise UnsupportedError(
            f"{node.name} (Div): TFLite has no int8 division", hint="multiply by the reciprocal"
        )
    binary("DIV")(lowering, node)


def unary(code: str) -> Lower:
    """Lowering of a one-operand operator without options."""

    def lower(lowering: Lowering, node: ir.Node) -> None:
        source = lowering.operand(node.inputs[0])
        lowering.program.add_operator(code, [source], [lowering.result(node.outputs[0])])

    return lower


def lower_leaky_relu(lowering: Lowering, node: ir.Node) -> None:
    """LEAKY_RELU."""
    alpha = node.attributes.get_float("alpha", 0.01)
    source, target = lowering.operand(node.inputs[0]), lowering.result(node.outputs[0])
    lowering.program.add_operator("LEAKY_RELU", [source], [target], alpha=alpha)


def _scalar(lowering: Lowering, real: float) -> int:
    """A float constant; in an int8 graph 127 steps, so that it is exact."""
    if not lowering.integer:
        return lowering.program.add_constant(f"constant.{real:.4g}", np.asarray([real], np.float32))
    parameters = Quantization.per_tensor(real / 127, 0)
    return lowering.program.add_constant(f"constant.{real:.4g}", np.asarray([127], np.int8), parameters)


def lower_hard_sigmoid(lowering: Lowering, node: ir.Node) -> None:
    """``max(0, min(1, x / 6 + 1 / 2))`` as ``relu6(x + 3) × 1/6``: TFLite has no such operator."""
    alpha, beta = node.attributes.get_float("alpha", 0.2), node.attributes.get_float("beta", 0.5)
    if abs(alpha - 1 / 6) > 1e-6 or beta != 0.5:
        raise UnsupportedError(f"{node.name} (HardSigmoid): alpha {alpha}, beta {beta} is not x / 6 + 1 / 2")
    program, source = lowering.program, lowering.operand(node.inputs[0])
    shape = program.tensors[source].shape
    parameters = Quantization.per_tensor(6 / 255, -128) if lowering.integer else None
    dtype = np.int8 if lowering.integer else np.float32
    clipped = program.add_tensor(f"{name_of(node)}.relu6", shape, dtype, parameters)
    relu6 = schema.ActivationFunctionType.RELU6
    program.add_operator("ADD", [source, _scalar(lowering, 3.0)], [clipped], fusedActivationFunction=relu6)
    target = lowering.result(node.outputs[0])
    program.add_operator("MUL", [clipped, _scalar(lowering, 1 / 6)], [target], fusedActivationFunction=0)
