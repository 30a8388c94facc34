"""One table: operator → how its output is shaped, what it costs, what kind of layer it is.

Every node of a canonical graph has its operator here. Adding an operator to edgekit starts with one
line in :data:`OPERATORS`; quantizer and emitters then say what they do with its kind.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import onnx_ir as ir

from edgekit.errors import GraphError, UnsupportedError
from edgekit.graph import shapes
from edgekit.graph.shapes import OPSET, ShapeRule
from edgekit.graph.support import way_around
from edgekit.graph.values import array_of, required, set_type, shape_of

__all__ = [
    "OPERATORS",
    "OPSET",
    "TRANSIENT",
    "YOUNGER",
    "Kind",
    "Operator",
    "infer_types",
    "is_fusable",
    "is_quantizer",
    "is_weighted",
    "kind_of",
    "macs_of",
    "operator_of",
    "required_opset",
]

Kind = Literal[
    "conv",
    "depthwise",
    "linear",
    "elementwise",
    "activation",
    "pool",
    "concat",
    "reduce",
    "resize",
    "pad",
    "view",
    "move",
    "quantize",
]
"""What a node is, for whoever treats all operators of a sort alike.

``view`` keeps the bytes (Flatten, Reshape); ``move`` copies elements elsewhere (Transpose, Slice).
"""

MacRule: TypeAlias = Callable[[ir.Node], int]


@dataclass(frozen=True)
class Operator:
    """What edgekit knows about one ONNX operator.

    ``shape`` gives the output shapes, ``macs`` the multiply-adds of one inference (0 for operators
    that do not multiply by weights, as papers count).
    """

    kind: Kind
    shape: ShapeRule
    macs: MacRule = lambda _node: 0


def _conv_macs(node: ir.Node) -> int:
    """Each output element sums I/group × kH × kW products."""
    weight = shape_of(required(node, 1))
    return math.prod(shape_of(node.outputs[0])) * math.prod(weight[1:])


def _conv_transpose_macs(node: ir.Node) -> int:
    """Each input element is spread over O/group × kH × kW products."""
    return math.prod(shape_of(required(node, 0))) * math.prod(shape_of(required(node, 1))[1:])


def _matrix_macs(node: ir.Node) -> int:
    """Each output element sums as many products as the left operand has columns."""
    left = shape_of(required(node, 0))
    inner = left[0] if node.attributes.get_int("transA", 0) else left[-1]
    return math.prod(shape_of(node.outputs[0])) * inner


_ACTIVATION = Operator("activation", shapes.like_input)
_ELEMENTWISE = Operator("elementwise", shapes.broadcast)
_POOL = Operator("pool", shapes.pool)
_GLOBAL_POOL = Operator("pool", shapes.global_pool)
_REDUCE = Operator("reduce", shapes.reduce)
_QUANTIZE = Operator("quantize", shapes.like_input)
_CHOICES = ("And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Or", "Where")

OPERATORS: dict[str, Operator] = {
    "Conv": Operator("conv", shapes.conv, _conv_macs),
    "ConvTranspose": Operator("conv", shapes.conv_transpose, _conv_transpose_macs),
    "Gemm": Operator("linear", shapes.gemm, _matrix_macs),
    "MatMul": Operator("linear", shapes.matmul, _matrix_macs),
    "Relu": _ACTIVATION,
    "Clip": _ACTIVATION,
    "Sigmoid": _ACTIVATION,
    "HardSigmoid": _ACTIVATION,
    "HardSwish": _ACTIVATION,
    "Tanh": _ACTIVATION,
    "LeakyRelu": _ACTIVATION,
    "PRelu": _ACTIVATION,
    "Elu": _ACTIVATION,
    "Exp": _ACTIVATION,
    "Erf": _ACTIVATION,
    "Sqrt": _ACTIVATION,
    "Abs": _ACTIVATION,
    "Neg": _ACTIVATION,
    "Ceil": _ACTIVATION,
    "Cos": _ACTIVATION,
    "Floor": _ACTIVATION,
    "Gelu": _ACTIVATION,
    "Log": _ACTIVATION,
    "Reciprocal": _ACTIVATION,
    "Round": _ACTIVATION,
    "Sign": _ACTIVATION,
    "Sin": _ACTIVATION,
    "Softplus": _ACTIVATION,
    "Softmax": Operator("activation", shapes.along_axis),
    "LogSoftmax": Operator("activation", shapes.along_axis),
    "LRN": _ACTIVATION,
    "LayerNormalization": Operator("activation", shapes.along_axis),
    "Add": _ELEMENTWISE,
    "Sub": _ELEMENTWISE,
    "Mul": _ELEMENTWISE,
    "Div": _ELEMENTWISE,
    "Min": _ELEMENTWISE,
    "Max": _ELEMENTWISE,
    "Pow": _ELEMENTWISE,
    **dict.fromkeys(_CHOICES, _ELEMENTWISE),
    "MaxPool": _POOL,
    "AveragePool": _POOL,
    "GlobalAveragePool": _GLOBAL_POOL,
    "GlobalMaxPool": _GLOBAL_POOL,
    "ReduceMean": _REDUCE,
    "ReduceMax": _REDUCE,
    "ReduceMin": _REDUCE,
    "ReduceSum": _REDUCE,
    "ReduceProd": _REDUCE,
    "Concat": Operator("concat", shapes.concat),
    "Resize": Operator("resize", shapes.resize),
    "Pad": Operator("pad", shapes.pad),
    "Flatten": Operator("view", shapes.flatten),
    "Reshape": Operator("view", shapes.reshape),
    "Squeeze": Operator("view", shapes.squeeze),
    "Unsqueeze": Operator("view", shapes.unsqueeze),
    "Transpose": Operator("move", shapes.transpose),
    "Slice": Operator("move", shapes.slice_),
    "Split": Operator("move", shapes.split),
    "Gather": Operator("move", shapes.gather),
    "DepthToSpace": Operator("move", shapes.depth_to_space),
    "SpaceToDepth": Operator("move", shapes.space_to_depth),
    "Expand": Operator("move", shapes.expand),
    "Tile": Operator("move", shapes.tile),
    "ArgMax": Operator("reduce", shapes.arg_reduce),
    "ArgMin": Operator("reduce", shapes.arg_reduce),
    "QuantizeLinear": _QUANTIZE,
    "DequantizeLinear": _QUANTIZE,
}

TRANSIENT: dict[str, Operator] = {
    "BatchNormalization": Operator("elementwise", shapes.like_input),
    "Dropout": Operator("view", shapes.like_input),
    "Identity": Operator("view", shapes.like_input),
    "Cast": Operator("view", shapes.like_input),
    "CastLike": Operator("view", shapes.like_input),
    "Sum": Operator("elementwise", shapes.broadcast),
    "Mean": Operator("elementwise", shapes.broadcast),
    **dict.fromkeys(("Celu", "Mish", "Selu", "Softsign", "Swish", "ThresholdedRelu"), _ACTIVATION),
    **dict.fromkeys(
        ("GroupNormalization", "InstanceNormalization", "MeanVarianceNormalization"), _ACTIVATION
    ),
    "LpNormalization": Operator("activation", shapes.along_axis),
    **dict.fromkeys(("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"), _REDUCE),
}
"""Operators that front ends leave in a graph and that passes remove: never in a canonical graph."""

YOUNGER: dict[str, int] = {"Gelu": 20, "Mish": 18, "Swish": 24}
"""Operators that came after :data:`OPSET`, with the opset of a graph that has one; the others mean the same
in both."""

_FIRST_OUTPUT = "the network may use the first output only"
_FIRST_ONLY = {
    "MaxPool": f"{_FIRST_OUTPUT}; to unpool by its indices, use Resize with mode nearest, or ConvTranspose"
}
_MOST_ELEMENTS = 2**31 - 1

_FUSABLE = frozenset({"Relu", "Clip"})
_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


def operator_of(node: ir.Node) -> Operator:
    """The node's row of the table; :class:`UnsupportedError` names an operator that has none."""
    operator = OPERATORS.get(node.op_type) if node.domain == "" else None
    if operator is None:
        domain = f"{node.domain}." if node.domain else ""
        raise UnsupportedError(
            f"operator {domain}{node.op_type} of node {node.name!r} is not supported",
            hint=way_around(node.op_type),
        )
    return operator


def kind_of(node: ir.Node) -> Kind:
    """The node's kind. A grouped convolution with one input channel a group is ``depthwise``."""
    kind = operator_of(node).kind
    if node.op_type != "Conv":
        return kind
    per_group = shape_of(required(node, 1))[1]
    return "depthwise" if per_group == 1 and node.attributes.get_int("group", 1) > 1 else kind


def macs_of(node: ir.Node) -> int:
    """Multiply-adds of one inference; bias additions are not counted."""
    return operator_of(node).macs(node)


def is_fusable(node: ir.Node) -> bool:
    """Whether the node is a clamp (ReLU, ReLU6) that runtimes fuse into the layer before it."""
    return node.op_type in _FUSABLE


def is_weighted(node: ir.Node) -> bool:
    """Whether the node sums products of its first input and its second, usually a weight."""
    return node.op_type in _WEIGHTED


def required_opset(graph: ir.Graph) -> int:
    """The canonical opset, or that of the graph's youngest operator."""
    return max((YOUNGER.get(node.op_type, OPSET) for node in graph), default=OPSET)


def is_quantizer(node: ir.Node) -> bool:
    """Whether the node only says how a value is stored."""
    return node.op_type in ("QuantizeLinear", "DequantizeLinear")


def infer_types(node: ir.Node) -> None:
    """Set shape and dtype of the node's outputs from its inputs, attributes and constants.

    Raises :class:`UnsupportedError` naming the node when its operator is not known, or when inputs,
    attributes and constants do not fit each other.
    """
    operator = TRANSIENT.get(node.op_type) or operator_of(node)
    try:
        found = operator.shape(node)
        dtype = _output_dtype(node)
    except (ArithmeticError, GraphError, LookupError, TypeError, ValueError) as exc:
        raise UnsupportedError(f"node {node.name!r} ({node.op_type}) is malformed: {exc}") from exc
    if len(found) != len(node.outputs) or min((min(shape, default=0) for shape in found), default=0) < 0:
        raise UnsupportedError(
            f"node {node.name!r} ({node.op_type}) has {len(node.outputs)} outputs of shapes {list(found)}",
            hint=_FIRST_ONLY.get(node.op_type, _FIRST_OUTPUT) if len(node.outputs) > len(found) else "",
        )
    if any(math.prod(shape) > _MOST_ELEMENTS for shape in found):
        raise UnsupportedError(
            f"node {node.name!r} ({node.op_type}) makes {list(found)}, more numbers than any format can index"
        )
    for value, shape in zip(node.outputs, found, strict=True):
        set_type(value, shape, dtype)


def _output_dtype(node: ir.Node) -> ir.DataType:
    if node.op_type == "DequantizeLinear":
        return ir.DataType.FLOAT
    if node.op_type in ("ArgMax", "ArgMin"):
        return ir.DataType.INT64
    if node.op_type == "Cast":
        return ir.DataType(node.attributes["to"].as_int())
    if node.op_type == "QuantizeLinear":
        zero = array_of(node.inputs[2]) if len(node.inputs) > 2 else None
        return ir.DataType.UINT8 if zero is None else ir.DataType.from_numpy(zero.dtype)
    if node.op_type in _CHOICES and node.op_type != "Where":
        return ir.DataType.BOOL
    dtype = required(node, 1 if node.op_type in ("CastLike", "Where") else 0).dtype
    return ir.DataType.FLOAT if dtype is None else dtype
