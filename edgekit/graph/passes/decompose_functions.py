"""Write functions that are made of others as what they are made of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir

from edgekit.graph.edit import add_before, constant_before, replace_node
from edgekit.graph.values import array_of, required, shape_of

__all__ = ["DECOMPOSED_FUNCTIONS", "decompose_functions"]


def decompose_functions(model: ir.Model) -> bool:
    """Replace activations and arithmetic that few runtimes know by operators that all know."""
    modified = False
    for node in list(model.graph):
        rule = DECOMPOSED_FUNCTIONS.get(node.op_type)
        result = None if rule is None else rule(node)
        if result is not None:
            replace_node(node, result)
            modified = True
    return modified


def _scalar(node: ir.Node, number: float) -> ir.Value:
    return constant_before(node, "scalar", np.asarray(number, np.float32))


def _of(node: ir.Node, op_type: str, *inputs: ir.Value) -> ir.Value:
    return add_before(node, op_type, list(inputs))


def _scaled_elu(node: ir.Node, x: ir.Value, alpha: float, width: float = 1.0) -> ir.Value:
    """``max(x, 0) + alpha · (exp(min(x, 0) / width) - 1)``."""
    below = _of(node, "Min", x, _scalar(node, 0.0))
    scaled = below if width == 1 else _of(node, "Mul", below, _scalar(node, 1 / width))
    negative = _of(node, "Mul", _of(node, "Elu", scaled), _scalar(node, alpha))
    return _of(node, "Add", _of(node, "Relu", x), negative)


def _elu(node: ir.Node) -> ir.Value | None:
    alpha = node.attributes.get_float("alpha", 1.0)
    return None if alpha == 1 else _scaled_elu(node, required(node, 0), alpha)


def _celu(node: ir.Node) -> ir.Value:
    alpha = node.attributes.get_float("alpha", 1.0)
    return _scaled_elu(node, required(node, 0), alpha, alpha)


def _selu(node: ir.Node) -> ir.Value:
    alpha = node.attributes.get_float("alpha", 1.6732632423543772)
    gamma = node.attributes.get_float("gamma", 1.0507009873554805)
    return _of(node, "Mul", _scaled_elu(node, required(node, 0), alpha), _scalar(node, gamma))


def _softsign(node: ir.Node) -> ir.Value:
    x = required(node, 0)
    return _of(node, "Div", x, _of(node, "Add", _of(node, "Abs", x), _scalar(node, 1.0)))


def _mish(node: ir.Node) -> ir.Value:
    x = required(node, 0)
    return _of(node, "Mul", x, _of(node, "Tanh", _of(node, "Softplus", x)))


def _swish(node: ir.Node) -> ir.Value:
    x, alpha = required(node, 0), node.attributes.get_float("alpha", 1.0)
    inner = x if alpha == 1 else _of(node, "Mul", x, _scalar(node, alpha))
    return _of(node, "Mul", x, _of(node, "Sigmoid", inner))


def _thresholded_relu(node: ir.Node) -> ir.Value:
    x, alpha = required(node, 0), node.attributes.get_float("alpha", 1.0)
    above = _of(node, "Greater", x, _scalar(node, alpha))
    return _of(node, "Where", above, x, _scalar(node, 0.0))


def _cast(node: ir.Node) -> ir.Value | None:
    """Truth as a number."""
    truth = required(node, 0)
    if truth.dtype != ir.DataType.BOOL or node.outputs[0].dtype != ir.DataType.FLOAT:
        return None
    return _of(node, "Where", truth, _scalar(node, 1.0), _scalar(node, 0.0))


def _mean(node: ir.Node) -> ir.Value:
    total = required(node, 0)
    for index in range(1, len(node.inputs)):
        total = _of(node, "Add", total, required(node, index))
    return total if len(node.inputs) == 1 else _of(node, "Mul", total, _scalar(node, 1 / len(node.inputs)))


def _chain(node: ir.Node) -> ir.Value | None:
    """Minimum and maximum of two at a time."""
    if len(node.inputs) == 2:
        return None
    result = required(node, 0)
    for index in range(1, len(node.inputs)):
        result = _of(node, node.op_type, result, required(node, index))
    return result


def _pow(node: ir.Node) -> ir.Value | None:
    """The powers that have operators of their own."""
    array, x = array_of(required(node, 1)), required(node, 0)
    if array is None:
        return None
    if array.size != 1 or shape_of(x) != shape_of(node.outputs[0]):
        if array.dtype == np.float32:
            return None
        return _of(node, "Pow", x, constant_before(node, "exponent", array.astype(np.float32)))
    exponent = float(array.reshape(-1)[0])
    if exponent == 2:
        return _of(node, "Mul", x, x)
    if exponent == 3:
        return _of(node, "Mul", _of(node, "Mul", x, x), x)
    if exponent == 0.5:
        return _of(node, "Sqrt", x)
    if exponent == -1:
        return _of(node, "Reciprocal", x)
    return None if array.dtype == np.float32 else _of(node, "Pow", x, _scalar(node, exponent))


DECOMPOSED_FUNCTIONS: dict[str, Callable[[ir.Node], ir.Value | None]] = {
    "Cast": _cast,
    "CastLike": _cast,
    "Celu": _celu,
    "Elu": _elu,
    "Max": _chain,
    "Mean": _mean,
    "Min": _chain,
    "Mish": _mish,
    "Pow": _pow,
    "Selu": _selu,
    "Softsign": _softsign,
    "Swish": _swish,
    "ThresholdedRelu": _thresholded_relu,
}
"""Operator → what computes the same, or None for a form that stays."""
