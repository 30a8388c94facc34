"""Write norms, sums of powers and normalizations over axes as reductions that all runtimes know."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from edgekit.errors import UnsupportedError
from edgekit.graph.edit import add_before, constant_before, replace_node
from edgekit.graph.values import array_of, required, shape_of

__all__ = ["DECOMPOSED_REDUCTIONS", "decompose_reductions"]

_SMALLEST_NORM = 1e-30


def decompose_reductions(model: ir.Model) -> bool:
    """Replace norms, logarithms of sums and instance, group and mean-variance normalization."""
    modified = False
    for node in list(model.graph):
        rule = DECOMPOSED_REDUCTIONS.get(node.op_type)
        if rule is not None:
            replace_node(node, rule(node))
            modified = True
    return modified


def _of(node: ir.Node, op_type: str, *inputs: ir.Value) -> ir.Value:
    return add_before(node, op_type, list(inputs))


def _reduced(node: ir.Node, op_type: str, x: ir.Value) -> ir.Value:
    """The same reduction of other numbers by another operator."""
    inputs = [x, *node.inputs[1:]]
    names = ("keepdims", "noop_with_empty_axes")
    attributes = {name: node.attributes.get_int(name) for name in names if name in node.attributes}
    return add_before(node, op_type, inputs, {k: v for k, v in attributes.items() if v is not None})


def _square(node: ir.Node) -> ir.Value:
    x = required(node, 0)
    return _of(node, "Mul", x, x)


def _l1(node: ir.Node) -> ir.Value:
    return _reduced(node, "ReduceSum", _of(node, "Abs", required(node, 0)))


def _l2(node: ir.Node) -> ir.Value:
    return _of(node, "Sqrt", _reduced(node, "ReduceSum", _square(node)))


def _log_sum(node: ir.Node) -> ir.Value:
    return _of(node, "Log", _reduced(node, "ReduceSum", required(node, 0)))


def _log_sum_exp(node: ir.Node) -> ir.Value:
    """With the largest number taken out, so that no exponential overflows."""
    x = required(node, 0)
    axes = node.inputs[1:]
    largest = add_before(node, "ReduceMax", [x, *axes], {"keepdims": 1})
    summed = _reduced(node, "ReduceSum", _of(node, "Exp", _of(node, "Sub", x, largest)))
    if shape_of(summed) != shape_of(largest):
        target = constant_before(node, "shape", np.array(shape_of(summed), np.int64))
        largest = _of(node, "Reshape", largest, target)
    return _of(node, "Add", _of(node, "Log", summed), largest)


def _lp_normalization(node: ir.Node) -> ir.Value:
    x, power = required(node, 0), node.attributes.get_int("p", 2)
    axis = node.attributes.get_int("axis", -1) % len(shape_of(x))
    axes = constant_before(node, "axes", np.array([axis], np.int64))
    size = _of(node, "Abs", x) if power == 1 else _of(node, "Mul", x, x)
    norm = add_before(node, "ReduceSum", [size, axes], {"keepdims": 1})
    norm = norm if power == 1 else _of(node, "Sqrt", norm)
    # Of nothing but zeros the result is zeros.
    least = constant_before(node, "least", np.asarray(_SMALLEST_NORM, np.float32))
    return _of(node, "Div", x, _of(node, "Max", norm, least))


def _standardized(node: ir.Node, x: ir.Value, axes: Sequence[int], epsilon: float) -> ir.Value:
    """``(x - mean) / sqrt(variance + epsilon)`` over ``axes``."""
    over = constant_before(node, "axes", np.array(axes, np.int64))
    centered = _of(node, "Sub", x, add_before(node, "ReduceMean", [x, over], {"keepdims": 1}))
    square = _of(node, "Mul", centered, centered)
    variance = add_before(node, "ReduceMean", [square, over], {"keepdims": 1})
    floor = constant_before(node, "epsilon", np.asarray(epsilon, np.float32))
    return _of(node, "Div", centered, _of(node, "Sqrt", _of(node, "Add", variance, floor)))


def _affine(node: ir.Node, x: ir.Value) -> ir.Value:
    """Times scale plus bias, inputs 1 and 2, one number for each channel."""
    rank = len(shape_of(x))
    for index, op_type in ((1, "Mul"), (2, "Add")):
        array = array_of(required(node, index))
        if array is None:
            raise UnsupportedError(f"node {node.name!r} ({node.op_type}): input {index} must be a constant")
        column = array.reshape(-1, *([1] * (rank - 2)))
        x = _of(node, op_type, x, constant_before(node, op_type.lower(), column))
    return x


def _instance_normalization(node: ir.Node) -> ir.Value:
    x, epsilon = required(node, 0), node.attributes.get_float("epsilon", 1e-5)
    return _affine(node, _standardized(node, x, range(2, len(shape_of(x))), epsilon))


def _group_normalization(node: ir.Node) -> ir.Value:
    x, epsilon = required(node, 0), node.attributes.get_float("epsilon", 1e-5)
    shape, groups = shape_of(x), node.attributes.get_int("num_groups", 1)
    # Axes that are kept apart need not be brought together in memory.
    table = (shape[0], groups, shape[1] // groups, *shape[2:])
    grouped = _reshaped(node, x, table)
    normal = _reshaped(node, _standardized(node, grouped, range(2, len(table)), epsilon), shape)
    for index in (1, 2):
        array = array_of(required(node, index))
        if array is not None and array.size == groups != shape[1]:  # opset 18 has one number a group
            repeated = constant_before(node, "channels", np.repeat(array, shape[1] // groups))
            node.replace_input_with(index, repeated)
    return _affine(node, normal)


def _reshaped(node: ir.Node, x: ir.Value, shape: Sequence[int]) -> ir.Value:
    return _of(node, "Reshape", x, constant_before(node, "shape", np.array(shape, np.int64)))


def _mean_variance_normalization(node: ir.Node) -> ir.Value:
    axes = node.attributes.get_ints("axes", [0, 2, 3])
    return _standardized(node, required(node, 0), axes, 1e-9)


DECOMPOSED_REDUCTIONS: dict[str, Callable[[ir.Node], ir.Value]] = {
    "GroupNormalization": _group_normalization,
    "InstanceNormalization": _instance_normalization,
    "LpNormalization": _lp_normalization,
    "MeanVarianceNormalization": _mean_variance_normalization,
    "ReduceL1": _l1,
    "ReduceL2": _l2,
    "ReduceLogSum": _log_sum,
    "ReduceLogSumExp": _log_sum_exp,
    "ReduceSumSquare": lambda node: _reduced(node, "ReduceSum", _square(node)),
}
"""Operator → what computes the same."""
