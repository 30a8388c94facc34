"""Recognize GELU, which exporters write as five operators around the error function or tanh.

``Gelu`` is younger than the canonical opset; a graph that has one is of the opset that brought it.
"""

from __future__ import annotations

import math

import onnx_ir as ir

from edgekit.graph.edit import add_before, replace_node
from edgekit.graph.values import array_of, required

__all__ = ["normalize_gelu"]

_TOLERANCE = 1e-4
_CUBIC = 0.044715


def normalize_gelu(model: ir.Model) -> bool:
    """Replace ``x · (1 + erf(x / √2)) / 2``, in any order of its factors, and its approximation by tanh."""
    modified = False
    for node in list(model.graph):
        if node.op_type not in ("Mul", "Div") or node.graph is None:
            continue
        found = _match(node)
        if found is not None:
            source, approximate = found
            replace_node(node, add_before(node, "Gelu", [source], {"approximate": approximate}))
            modified = True
    return modified


def _match(node: ir.Node) -> tuple[ir.Value, str] | None:
    number, factors = _factors(node.outputs[0])
    if not math.isclose(number, 0.5, rel_tol=_TOLERANCE) or len(factors) != 2:
        return None
    for x, gate in (factors, factors[::-1]):
        inner = _plus_one(gate)
        producer = inner.producer() if inner is not None else None
        if producer is None:
            continue
        if producer.op_type == "Erf" and _is_scaled(required(producer, 0), x, math.sqrt(0.5)):
            return x, "none"
        if producer.op_type == "Tanh" and _is_cubic(required(producer, 0), x):
            return x, "tanh"
    return None


def _number(value: ir.Value | None) -> float | None:
    array = array_of(value)
    return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None


def _factors(value: ir.Value) -> tuple[float, list[ir.Value]]:
    """A product taken apart: its constant factor, and the others."""
    node = value.producer()
    if node is None or node.op_type not in ("Mul", "Div"):
        return 1.0, [value]
    left, right = required(node, 0), required(node, 1)
    divisor = _number(right) if node.op_type == "Div" else None
    if node.op_type == "Div":
        if not divisor:
            return 1.0, [value]
        number, factors = _factors(left)
        return number / divisor, factors
    number, factors = 1.0, []
    for operand in (left, right):
        constant = _number(operand)
        if constant is not None:
            number *= constant
            continue
        inner, rest = _factors(operand)
        number *= inner
        factors += rest
    return number, factors


def _plus_one(value: ir.Value) -> ir.Value | None:
    """``y`` of ``y + 1``."""
    node = value.producer()
    if node is None or node.op_type != "Add":
        return None
    for index in (0, 1):
        if _number(required(node, index)) == 1:
            return required(node, 1 - index)
    return None


def _is_scaled(value: ir.Value, x: ir.Value, factor: float) -> bool:
    number, factors = _factors(value)
    return len(factors) == 1 and factors[0] is x and math.isclose(number, factor, rel_tol=_TOLERANCE)


def _is_cubic(value: ir.Value, x: ir.Value) -> bool:
    """Whether ``value`` is ``√(2/π) · (x + 0.044715 · x³)``."""
    number, factors = _factors(value)
    if not math.isclose(number, math.sqrt(2 / math.pi), rel_tol=_TOLERANCE):
        return False
    if len(factors) == 2:  # x · (1 + 0.044715 · x²)
        return any(_is_power(_plus_one(other), x, 2) for one, other in (factors, factors[::-1]) if one is x)
    node = factors[0].producer() if len(factors) == 1 else None
    if node is None or node.op_type != "Add":
        return False
    operands = [required(node, 0), required(node, 1)]
    return any(one is x and _is_power(other, x, 3) for one, other in (operands, operands[::-1]))


def _is_power(value: ir.Value | None, x: ir.Value, exponent: int) -> bool:
    if value is None:
        return False
    number, factors = _factors(value)
    if not math.isclose(number, _CUBIC, rel_tol=1e-3):
        return False
    return len(factors) == exponent and all(factor is x for factor in factors)
