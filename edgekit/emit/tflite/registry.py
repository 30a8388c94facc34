"""Every operator that can be lowered, and the walk over a graph that lowers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import onnx_ir as ir

from edgekit.emit.tflite.activation import lower_clip
from edgekit.emit.tflite.classifier import lower_flatten, lower_gemm
from edgekit.emit.tflite.convolution import lower_conv
from edgekit.emit.tflite.elementwise import binary, lower_div, lower_hard_sigmoid, lower_leaky_relu, unary
from edgekit.emit.tflite.lowering import Lowering, name_of
from edgekit.emit.tflite.pooling import lower_average_pool, lower_global_average_pool, lower_max_pool
from edgekit.emit.tflite.program import Program
from edgekit.emit.tflite.quantization import lower_dequantize, lower_quantize
from edgekit.emit.tflite.shape import (
    lower_concat,
    lower_pad,
    lower_reduce_mean,
    lower_reshape,
    lower_resize,
    lower_softmax,
)
from edgekit.errors import UnsupportedError
from edgekit.options import Precision

__all__ = ["LOWERINGS", "lower"]

LOWERINGS: dict[str, Callable[[Lowering, ir.Node], None]] = {
    "Add": binary("ADD"),
    "AveragePool": lower_average_pool,
    "Clip": lower_clip,
    "Concat": lower_concat,
    "Conv": lower_conv,
    "DequantizeLinear": lower_dequantize,
    "Div": lower_div,
    "Flatten": lower_flatten,
    "Gemm": lower_gemm,
    "GlobalAveragePool": lower_global_average_pool,
    "HardSigmoid": lower_hard_sigmoid,
    "HardSwish": unary("HARD_SWISH"),
    "LeakyRelu": lower_leaky_relu,
    "MaxPool": lower_max_pool,
    "Mul": binary("MUL"),
    "Pad": lower_pad,
    "QuantizeLinear": lower_quantize,
    "ReduceMean": lower_reduce_mean,
    "Relu": lower_clip,
    "Reshape": lower_reshape,
    "Resize": lower_resize,
    "Sigmoid": unary("LOGISTIC"),
    "Softmax": lower_softmax,
    "Sub": binary("SUB"),
    "Tanh": unary("TANH"),
}
"""ONNX operator → the function that lowers one node of it."""


def _rename(program: Program, index: int, name: str) -> None:
    program.tensors[index] = replace(program.tensors[index], name=name)


def lower(graph: ir.Graph, precision: Precision) -> Program:
    """The graph as TFLite operators; int8 activations throughout when ``precision`` is ``"int8"``.

    Raises UnsupportedError, with the operator and the node's name, for what TFLite cannot express.
    """
    unknown = [node for node in graph if node.op_type not in LOWERINGS or node.domain]
    if unknown:
        listed = ", ".join(f"{node.op_type} ({node.name})" for node in unknown[:5])
        raise UnsupportedError(
            f"{len(unknown)} operators cannot be lowered to TFLite: {listed}",
            hint=f"known operators: {', '.join(sorted(LOWERINGS))}",
        )
    lowering = Lowering(graph, precision)
    for value in graph.inputs:
        lowering.program.inputs.append(lowering.result(value))
    for node in graph:
        if node not in lowering.absorbed:
            LOWERINGS[node.op_type](lowering, node)
    for value in graph.outputs:
        index = lowering.operand(value)
        lowering.program.outputs.append(index)
        _rename(lowering.program, index, name_of(value))
    return lowering.program
