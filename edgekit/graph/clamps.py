"""Reading clamps and straight lines out of chains of elementwise nodes.

Exporters spell hard sigmoids and clamps in many ways. Read by value, any chain of multiplications and
additions by scalars and of clamps is ``clamp(slope · x + offset, low, high)``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir

from edgekit.graph.values import array_of, only_reader, required, shape_of

__all__ = ["ClampedLine", "bounds_of", "line_of", "scalar_factor"]

_LOWEST = float(np.finfo(np.float32).min)
_HIGHEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class ClampedLine:
    """``clamp(slope · source + offset, low, high)``."""

    source: ir.Value
    slope: float = 1.0
    offset: float = 0.0
    low: float = -math.inf
    high: float = math.inf

    def times(self, factor: float) -> ClampedLine:
        """The line multiplied by a positive factor."""
        return ClampedLine(
            self.source,
            self.slope * factor,
            self.offset * factor,
            self.low * factor,
            self.high * factor,
        )

    def plus(self, offset: float) -> ClampedLine:
        """The line moved by a number."""
        return ClampedLine(
            self.source, self.slope, self.offset + offset, self.low + offset, self.high + offset
        )

    def clamped(self, low: float, high: float) -> ClampedLine:
        """The line clamped once more."""
        lower, upper = (min(max(bound, low), high) for bound in (self.low, self.high))
        return replace(self, low=lower, high=upper)


def bounds_of(node: ir.Node) -> tuple[ir.Value, float, float] | None:
    """Source and bounds of a clamp with constant scalar bounds, else None."""
    if node.op_type == "Relu":
        return required(node, 0), 0.0, math.inf
    if node.op_type == "Clip":
        low, high = (_scalar(node, index) for index in (1, 2))
        given = [value is not None for value in (*node.inputs[1:], None, None)]
        if (given[0] and low is None) or (given[1] and high is None):
            return None
        return required(node, 0), _open(low, -math.inf), _open(high, math.inf)
    if node.op_type not in ("Min", "Max") or len(node.inputs) != 2:
        return None
    for index in (0, 1):
        bound = _scalar(node, index)
        if bound is not None and shape_of(node.inputs[1 - index]) == shape_of(node.outputs[0]):
            low, high = (bound, math.inf) if node.op_type == "Max" else (-math.inf, bound)
            return required(node, 1 - index), low, high
    return None


def _open(bound: float | None, infinity: float) -> float:
    """A bound at the end of float32 is no bound."""
    if bound is None or (infinity < 0 and bound <= _LOWEST) or (infinity > 0 and bound >= _HIGHEST):
        return infinity
    return bound


def line_of(value: ir.Value | None) -> ClampedLine | None:
    """The clamped line that ends in ``value``, or None if its chain holds no clamp."""
    node = value.producer() if value is not None else None
    if node is None:
        return None
    bounds = bounds_of(node)
    if bounds is not None:
        source, low, high = bounds
        return _inner_line(source).clamped(low, high)
    scaled = scalar_factor(node)
    if scaled is None or scaled[1] <= 0 or only_reader(scaled[0]) is None:
        return None
    inner = line_of(scaled[0])
    return None if inner is None else inner.times(scaled[1])


def _inner_line(value: ir.Value) -> ClampedLine:
    """What ``value`` is, as far back as constants reach and nobody else reads what is between."""
    node = value.producer()
    if node is None or only_reader(value) is None:
        return ClampedLine(value)
    shifted = _scalar_offset(node)
    if shifted is not None:
        return _inner_line(shifted[0]).plus(shifted[1])
    scaled = scalar_factor(node)
    if scaled is not None and scaled[1] > 0:
        return _inner_line(scaled[0]).times(scaled[1])
    bounds = bounds_of(node)
    if bounds is not None:
        source, low, high = bounds
        return _inner_line(source).clamped(low, high)
    return ClampedLine(value)


def scalar_factor(node: ir.Node) -> tuple[ir.Value, float] | None:
    """(x, factor) of ``x · factor`` or ``x / divisor`` with a scalar constant."""
    if node.op_type == "Mul":
        return _with_scalar(node, (1, 0))
    found = _with_scalar(node, (1,)) if node.op_type == "Div" else None
    return (found[0], 1.0 / found[1]) if found is not None and found[1] else None


def _scalar_offset(node: ir.Node) -> tuple[ir.Value, float] | None:
    """(x, offset) of ``x + offset`` or ``x - offset`` with a scalar constant."""
    if node.op_type == "Add":
        return _with_scalar(node, (1, 0))
    found = _with_scalar(node, (1,)) if node.op_type == "Sub" else None
    return (found[0], -found[1]) if found is not None else None


def _with_scalar(node: ir.Node, positions: tuple[int, ...]) -> tuple[ir.Value, float] | None:
    """The operand and the number, when the constant may stand at these positions."""
    for index in positions:
        number, other = _scalar(node, index), required(node, 1 - index)
        if number is not None and other.const_value is None and shape_of(other) == shape_of(node.outputs[0]):
            return other, number
    return None


def _scalar(node: ir.Node, index: int) -> float | None:
    """The single number of a constant input, else None."""
    array = array_of(node.inputs[index]) if index < len(node.inputs) else None
    return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None
