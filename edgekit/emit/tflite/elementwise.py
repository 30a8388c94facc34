"""Element-wise operators: arithmetic with broadcasting, and the smooth activations."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.activation import absorb_activation
from edgekit.emit.tflite.layout import Layout, broadcast_in_file, default_layout
from edgekit.emit.tflite.lowering import Lowering, name_of
from edgekit.emit.tflite.program import Array, Option, Quantization
from edgekit.emit.tflite.schema import schema
from edgekit.errors import CheckError, UnsupportedError
from edgekit.graph import qdq
from edgekit.graph.values import shape_of

__all__ = [
    "binary",
    "common_layout",
    "lower_gelu",
    "lower_hard_sigmoid",
    "lower_hard_swish",
    "lower_leaky_relu",
    "lower_prelu",
    "operands",
    "unary",
]

Lower = Callable[[Lowering, ir.Node], None]


def _constant(
    lowering: Lowering, node: ir.Node, value: ir.Value | None, rank: int, layout: Layout
) -> int | None:
    """Tensor of a constant operand, or None for a computed one."""
    quantized = qdq.dequantized_constant(value)
    if quantized is not None and quantized.values is not None:
        if quantized.scale.size != 1:
            raise UnsupportedError(f"{node.name} ({node.op_type}): its constant is quantized per channel")
        parameters = Quantization(quantized.scale.reshape(1), quantized.zero_point)
        values: Array = np.asarray(quantized.values)
        return lowering.program.add_constant(
            f"{node.name}.constant", broadcast_in_file(values, rank, layout), parameters
        )
    array = qdq.constant(value)
    if array is None:
        return None
    if lowering.integer:
        raise CheckError(f"{node.name} ({node.op_type}) has a constant that is not quantized")
    return lowering.program.add_constant(f"{node.name}.constant", broadcast_in_file(array, rank, layout))


def common_layout(lowering: Lowering, node: ir.Node) -> Layout:
    """Of the computed inputs of the output's rank that of the largest; among equals NHWC."""
    rank = len(shape_of(node.outputs[0]))
    held = [
        (math.prod(shape_of(value)), layout == default_layout(rank), layout)
        for value in node.inputs
        if value is not None and len(shape_of(value)) == rank and qdq.constant(value) is None
        if qdq.dequantized_constant(value) is None
        for layout in (lowering.stored(value).layout,)
    ]
    return max(held)[2] if held else default_layout(rank)


def operands(lowering: Lowering, node: ir.Node, layout: Layout) -> list[int]:
    """Tensors of the inputs in one layout; an input of lower rank gets leading dimensions of 1."""
    rank = len(layout)
    found = []
    for value in node.inputs:
        index = _constant(lowering, node, value, rank, layout)
        if index is None:
            shape = shape_of(value)
            aligned = (1,) * (rank - len(shape)) + shape
            index = lowering.viewed(value, aligned, layout).index
        found.append(index)
    return found


def binary(code: str, fuses: bool = True) -> Lower:
    """Lowering of a two-operand arithmetic operator; ``fuses`` says that it takes an activation."""

    def lower(lowering: Lowering, node: ir.Node) -> None:
        layout = common_layout(lowering, node)
        sources = operands(lowering, node, layout)
        if not fuses:
            target = lowering.result(node.outputs[0], inherit=sources[0], layout=layout)
            lowering.program.add_operator(code, sources, [target])
            return
        fused, value = absorb_activation(lowering, node.outputs[0])
        target = lowering.result(value, layout=layout)
        options: dict[str, Option] = {"fusedActivationFunction": fused}
        if code in ("ADD", "SUB") and lowering.program.tensors[target].dtype == np.int16:
            options["potScaleInt16"] = False  # scales need not be powers of two
        lowering.program.add_operator(code, sources, [target], **options)

    return lower


def unary(code: str) -> Lower:
    """Lowering of a one-operand operator without options."""

    def lower(lowering: Lowering, node: ir.Node) -> None:
        held = lowering.stored(node.inputs[0])
        target = lowering.result(node.outputs[0], layout=held.layout)
        lowering.program.add_operator(code, [held.index], [target])

    return lower


def lower_leaky_relu(lowering: Lowering, node: ir.Node) -> None:
    """LEAKY_RELU."""
    alpha = node.attributes.get_float("alpha", 0.01)
    held = lowering.stored(node.inputs[0])
    target = lowering.result(node.outputs[0], layout=held.layout)
    lowering.program.add_operator("LEAKY_RELU", [held.index], [target], alpha=alpha)


def lower_gelu(lowering: Lowering, node: ir.Node) -> None:
    """GELU, exact or by tanh."""
    approximate = node.attributes.get_string("approximate", "none") == "tanh"
    held = lowering.stored(node.inputs[0])
    target = lowering.result(node.outputs[0], layout=held.layout)
    lowering.program.add_operator("GELU", [held.index], [target], approximate=approximate)


def lower_prelu(lowering: Lowering, node: ir.Node) -> None:
    """PRELU, whose slopes are constant."""
    layout = lowering.stored(node.inputs[0]).layout
    sources = operands(lowering, node, layout)
    lowering.program.add_operator("PRELU", sources, [lowering.result(node.outputs[0], layout=layout)])


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
    program, held = lowering.program, lowering.stored(node.inputs[0])
    shape = program.tensors[held.index].shape
    parameters = Quantization.per_tensor(6 / 255, -128) if lowering.integer else None
    dtype = np.int8 if lowering.integer else np.float32
    clipped = program.add_tensor(f"{name_of(node)}.relu6", shape, dtype, parameters)
    relu6 = schema.ActivationFunctionType.RELU6
    shifted = [held.index, _scalar(lowering, 3.0)]
    program.add_operator("ADD", shifted, [clipped], fusedActivationFunction=relu6)
    target = lowering.result(node.outputs[0], layout=held.layout)
    program.add_operator("MUL", [clipped, _scalar(lowering, 1 / 6)], [target], fusedActivationFunction=0)


def lower_hard_swish(lowering: Lowering, node: ir.Node) -> None:
    """HARD_SWISH; in int8, for which delegates have no kernel, ``x · clamp(x / 6 + 1 / 2, 0, 1)``."""
    if not lowering.integer:
        unary("HARD_SWISH")(lowering, node)
        return
    program, held = lowering.program, lowering.stored(node.inputs[0])
    source, name = program.tensors[held.index], name_of(node)
    own = lowering.quantization(held.index)
    # A sixth of the scale for a sixth of the number: the same integers.
    sixth = Quantization.per_tensor(float(own.scale[0]) / 6, own.zero_point)
    scaled = program.add_tensor(f"{name}.sixth", source.shape, np.int8, sixth)
    factors = [held.index, _scalar(lowering, 1 / 6)]
    program.add_operator("MUL", factors, [scaled], fusedActivationFunction=0)
    # The integers of [0, 1] end where the clamp does.
    gate = program.add_tensor(f"{name}.gate", source.shape, np.int8, Quantization.per_tensor(1 / 255, -128))
    program.add_operator("ADD", [scaled, _scalar(lowering, 0.5)], [gate], fusedActivationFunction=0)
    target = lowering.result(node.outputs[0], layout=held.layout)
    program.add_operator("MUL", [held.index, gate], [target], fusedActivationFunction=0)
