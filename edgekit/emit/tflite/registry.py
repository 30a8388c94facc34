"""Every operator that can be lowered, and the walk over a graph that lowers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import onnx_ir as ir

from edgekit.emit.tflite.activation import lower_clip
from edgekit.emit.tflite.blocks import blocks
from edgekit.emit.tflite.classifier import lower_flatten, lower_gemm
from edgekit.emit.tflite.composite import lower_erf, lower_reciprocal, lower_softplus
from edgekit.emit.tflite.convolution import lower_conv
from edgekit.emit.tflite.elementwise import (
    binary,
    lower_gelu,
    lower_hard_sigmoid,
    lower_hard_swish,
    lower_leaky_relu,
    lower_prelu,
    unary,
)
from edgekit.emit.tflite.layout import Layout, default_layout, is_plain
from edgekit.emit.tflite.lowering import Lowering, name_of
from edgekit.emit.tflite.matrix import lower_matmul
from edgekit.emit.tflite.normalization import lower_layer_normalization, lower_lrn
from edgekit.emit.tflite.pads import lower_pad
from edgekit.emit.tflite.pooling import (
    lower_average_pool,
    lower_global_average_pool,
    lower_global_max_pool,
    lower_max_pool,
)
from edgekit.emit.tflite.program import Program, remove_dead
from edgekit.emit.tflite.quantization import lower_dequantize, lower_quantize
from edgekit.emit.tflite.reductions import extreme_index, reduction
from edgekit.emit.tflite.resize import lower_resize
from edgekit.emit.tflite.shape import (
    lower_concat,
    lower_expand,
    lower_reshape,
    lower_tile,
    lower_transpose,
)
from edgekit.emit.tflite.slices import lower_gather, lower_slice
from edgekit.emit.tflite.softmax import lower_log_softmax, lower_softmax
from edgekit.emit.tflite.transposed import lower_conv_transpose
from edgekit.errors import UnsupportedError
from edgekit.graph import qdq
from edgekit.graph.ops import is_quantizer
from edgekit.graph.values import shape_of
from edgekit.options import Precision

__all__ = ["FLOAT_ONLY", "LOWERINGS", "lower", "try_lower"]

LOWERINGS: dict[str, Callable[[Lowering, ir.Node], None]] = {
    "Abs": unary("ABS"),
    "Add": binary("ADD"),
    "And": binary("LOGICAL_AND", fuses=False),
    "ArgMax": extreme_index("ARG_MAX"),
    "ArgMin": extreme_index("ARG_MIN"),
    "AveragePool": lower_average_pool,
    "Ceil": unary("CEIL"),
    "Clip": lower_clip,
    "Concat": lower_concat,
    "Conv": lower_conv,
    "ConvTranspose": lower_conv_transpose,
    "Cos": unary("COS"),
    "DepthToSpace": blocks("DEPTH_TO_SPACE"),
    "DequantizeLinear": lower_dequantize,
    "Div": binary("DIV"),
    "Elu": unary("ELU"),
    "Equal": binary("EQUAL", fuses=False),
    "Erf": lower_erf,
    "Exp": unary("EXP"),
    "Expand": lower_expand,
    "Flatten": lower_flatten,
    "Floor": unary("FLOOR"),
    "Gather": lower_gather,
    "Gelu": lower_gelu,
    "Gemm": lower_gemm,
    "GlobalAveragePool": lower_global_average_pool,
    "GlobalMaxPool": lower_global_max_pool,
    "Greater": binary("GREATER", fuses=False),
    "GreaterOrEqual": binary("GREATER_EQUAL", fuses=False),
    "HardSigmoid": lower_hard_sigmoid,
    "HardSwish": lower_hard_swish,
    "LRN": lower_lrn,
    "LayerNormalization": lower_layer_normalization,
    "LeakyRelu": lower_leaky_relu,
    "Less": binary("LESS", fuses=False),
    "LessOrEqual": binary("LESS_EQUAL", fuses=False),
    "Log": unary("LOG"),
    "LogSoftmax": lower_log_softmax,
    "MatMul": lower_matmul,
    "Max": binary("MAXIMUM", fuses=False),
    "MaxPool": lower_max_pool,
    "Min": binary("MINIMUM", fuses=False),
    "Mul": binary("MUL"),
    "Neg": unary("NEG"),
    "Not": unary("LOGICAL_NOT"),
    "Or": binary("LOGICAL_OR", fuses=False),
    "PRelu": lower_prelu,
    "Pad": lower_pad,
    "Pow": binary("POW", fuses=False),
    "QuantizeLinear": lower_quantize,
    "Reciprocal": lower_reciprocal,
    "ReduceMax": reduction("REDUCE_MAX", shares_scale=True),
    "ReduceMean": reduction("MEAN"),
    "ReduceMin": reduction("REDUCE_MIN", shares_scale=True),
    "ReduceProd": reduction("REDUCE_PROD"),
    "ReduceSum": reduction("SUM"),
    "Relu": lower_clip,
    "Reshape": lower_reshape,
    "Resize": lower_resize,
    "Round": unary("ROUND"),
    "Sigmoid": unary("LOGISTIC"),
    "Sign": unary("SIGN"),
    "Sin": unary("SIN"),
    "Slice": lower_slice,
    "Softmax": lower_softmax,
    "Softplus": lower_softplus,
    "SpaceToDepth": blocks("SPACE_TO_DEPTH"),
    "Sqrt": unary("SQRT"),
    "Sub": binary("SUB"),
    "Tanh": unary("TANH"),
    "Tile": lower_tile,
    "Transpose": lower_transpose,
    "Where": binary("SELECT_V2", fuses=False),
}
"""ONNX operator → the function that lowers one node of it."""

FLOAT_ONLY = frozenset(
    (
        *(
            "Abs",
            "ArgMax",
            "ArgMin",
            "Ceil",
            "Cos",
            "Div",
            "Erf",
            "Exp",
            "Floor",
            "LRN",
            "LayerNormalization",
        ),
        *("And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Or", "Where"),
        *("Log", "LogSoftmax", "MatMul", "Max", "Min", "Neg", "Pow", "Reciprocal", "ReduceProd", "ReduceSum"),
        *("Round", "Sign", "Sin", "Softplus", "Sqrt"),
    )
)
"""Operators without an integer kernel that all runtimes share: in an int8 file they compute in float32."""


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
    lowering = _started(graph, precision)
    for node in graph:
        if node not in lowering.absorbed:
            _lower_node(lowering, node)
    for value in graph.outputs:
        _lower_output(lowering, value)
    remove_dead(lowering.program)
    return lowering.program


def try_lower(graph: ir.Graph) -> tuple[Program, list[tuple[ir.Node, UnsupportedError]]]:
    """The graph in float32 as far as it goes, and every node that cannot be lowered with the reason."""
    lowering = _started(graph, "fp32")
    errors: list[tuple[ir.Node, UnsupportedError]] = []
    for node in graph:
        if node in lowering.absorbed:
            continue
        try:
            if node.op_type not in LOWERINGS:
                raise UnsupportedError(f"node {node.name!r} ({node.op_type}): TFLite has no such operator")
            _lower_node(lowering, node)
        except UnsupportedError as exc:
            errors.append((node, exc))
            for value in node.outputs:
                lowering.result(value)  # what reads it is checked as if it were there
    for value in graph.outputs:
        _lower_output(lowering, value)
    return lowering.program, errors


def _started(graph: ir.Graph, precision: Precision) -> Lowering:
    """A lowering that has the inputs."""
    lowering = Lowering(graph, precision)
    for value in graph.inputs:
        layout = _input_layout(value)
        lowering.program.inputs.append(lowering.result(value, layout=layout))
        if is_plain(layout):
            lowering.program.in_graph_order.add(name_of(value))
    return lowering


def _lower_node(lowering: Lowering, node: ir.Node) -> None:
    if _computes_in_float(lowering, node):
        with lowering.in_float():
            LOWERINGS[node.op_type](lowering, node)
    else:
        LOWERINGS[node.op_type](lowering, node)


def _computes_in_float(lowering: Lowering, node: ir.Node) -> bool:
    """Whether a node of an int8 file has no integer form, was left float, or reads what is float."""
    if lowering.precision != "int8" or is_quantizer(node):
        return False
    return (
        qdq.is_float(node)
        or node.op_type in FLOAT_ONLY
        or any(lowering.is_real(value) for value in node.inputs)
    )


def _input_layout(value: ir.Value) -> Layout:
    """NHWC for an image, unless the graph takes NHWC itself: it then begins with a transposition."""
    rank = len(shape_of(value))
    readers = [use.node for use in value.uses()]
    while len(readers) == 1 and is_quantizer(readers[0]):
        readers = [use.node for use in readers[0].outputs[0].uses()]
    turns = [node.attributes.get_ints("perm", ()) for node in readers if node.op_type == "Transpose"]
    if rank == 4 and len(turns) == len(readers) > 0 and all(tuple(perm) == (0, 3, 1, 2) for perm in turns):
        return tuple(range(rank))
    return default_layout(rank)


def _lower_output(lowering: Lowering, value: ir.Value) -> None:
    """An output is NHWC, or in the graph's own order where the graph has transposed it itself."""
    held, program = lowering.stored(value), lowering.program
    index = held.index if is_plain(held.layout) else lowering.operand(value)
    if is_plain(held.layout):
        program.in_graph_order.add(name_of(value))
    if index in program.inputs or index in program.outputs:
        # Inputs and outputs are tensors of their own, each with its name.
        shape = program.tensors[index].shape
        copy = lowering.intermediate(name_of(value), index)
        program.add_operator("RESHAPE", [index, lowering.integers(*shape)], [copy], newShape=shape)
        index = copy
    program.outputs.append(index)
    _rename(program, index, name_of(value))
