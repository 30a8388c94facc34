"""Write each activation in one form: a clamp, a hard sigmoid, a hard swish, or a product with a sigmoid.

Exporters spell them out of clamps, sums and products. Matching goes by value, not by spelling: a chain
``s · clamp(a·x + b, low, high)`` is one clamp of one line, whatever its order and grouping.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgekit.graph.edit import add_before, constant_before, replace_node, with_attributes
from edgekit.graph.values import array_of, only_reader, op_of, required, shape_of

__all__ = ["normalize_activations"]

_LOWEST = float(np.finfo(np.float32).min)
_HIGHEST = float(np.finfo(np.float32).max)
_TOLERANCE = 1e-6
_SLOPE, _OFFSET = 1.0 / 6.0, 0.5


@dataclass(frozen=True)
class _ClampedLine:
    """``clamp(slope · source + offset, low, high)``."""

    source: ir.Value
    slope: float = 1.0
    offset: float = 0.0
    low: float = -math.inf
    high: float = math.inf

    def is_hard_sigmoid(self) -> bool:
        given = (self.slope, self.offset, self.low, self.high)
        return all(
            math.isclose(a, b, abs_tol=_TOLERANCE)
            for a, b in zip(given, (_SLOPE, _OFFSET, 0.0, 1.0), strict=True)
        )


def normalize_activations(model: ir.Model) -> bool:
    """Rewrite clamps, hard sigmoids, hard swishes and SiLUs."""
    modified = False
    for node in list(model.graph):
        if node.graph is None:
            continue  # part of a pattern that has been replaced
        if node.op_type in ("Mul", "Div", "Clip", "Min"):
            modified |= _match_hard_sigmoid(node) or _match_scaled_hard_swish(node)
        if node.graph is not None and node.op_type in ("Relu", "Clip", "Min", "Max"):
            modified |= _write_clamp(node)
        elif node.graph is not None and node.op_type == "HardSigmoid":
            modified |= _write_hard_sigmoid(node)
        elif node.graph is not None and node.op_type == "Mul":
            modified |= _match_gate(node)
    return modified


def _match_hard_sigmoid(node: ir.Node) -> bool:
    """``clamp(x + 3, 0, 6) / 6`` in any spelling."""
    line = _line(node.outputs[0])
    if line is None or not line.is_hard_sigmoid():
        return False
    replace_node(node, _add_hard_sigmoid(node, line.source))
    return True


def _match_scaled_hard_swish(node: ir.Node) -> bool:
    """``x · clamp(x + 3, 0, 6) / 6``, divided last."""
    scaled = _scaled(node)
    if scaled is None:
        return False
    product, factor = scaled
    gate = product.producer()
    if gate is None or gate.op_type != "Mul" or only_reader(product) is None:
        return False
    for x, other in (gate.inputs, gate.inputs[::-1]):
        line = _line(other) if other is not None and only_reader(other) is not None else None
        if line is None or line.source is not x:
            continue
        if _multiplied(line, factor).is_hard_sigmoid():
            replace_node(node, add_before(node, "HardSwish", [x]))
            return True
    return False


def _match_gate(node: ir.Node) -> bool:
    """``x · sigmoid(x)`` with x first; ``x · hardsigmoid(x)`` is ``HardSwish``."""
    for position, gate in enumerate(node.inputs):
        x = node.inputs[1 - position]
        producer = gate.producer() if gate is not None else None
        if producer is None or gate is None or producer.inputs[0] is not x:
            continue
        if producer.op_type == "HardSigmoid" and only_reader(gate) is not None and _is_standard(producer):
            replace_node(node, add_before(node, "HardSwish", [x]))
            return True
        if producer.op_type == "Sigmoid" and position == 0:
            node.replace_input_with(0, x)
            node.replace_input_with(1, gate)
            return True
    return False


def _write_hard_sigmoid(node: ir.Node) -> bool:
    """Standard slope and offset exactly; any other hard sigmoid spelled as a line and a clamp."""
    if _is_standard(node):
        return with_attributes(node, {"alpha": _SLOPE, "beta": _OFFSET})
    alpha = np.asarray(node.attributes.get_float("alpha", 0.2), np.float32)
    beta = np.asarray(node.attributes.get_float("beta", 0.5), np.float32)
    scaled = add_before(node, "Mul", [required(node, 0), constant_before(node, "alpha", alpha)])
    shifted = add_before(node, "Add", [scaled, constant_before(node, "beta", beta)])
    replace_node(node, _add_clamp(node, shifted, 0.0, 1.0))
    return True


def _is_standard(node: ir.Node) -> bool:
    alpha, beta = node.attributes.get_float("alpha", 0.2), node.attributes.get_float("beta", 0.5)
    return math.isclose(alpha, _SLOPE, abs_tol=_TOLERANCE) and math.isclose(beta, _OFFSET, abs_tol=_TOLERANCE)


def _write_clamp(node: ir.Node) -> bool:
    """One ``Relu`` or ``Clip`` for a chain of clamps."""
    bounds = _bounds(node)
    if bounds is None:
        return False
    source, low, high = bounds
    inner = source.producer()
    below = _bounds(inner) if inner is not None and only_reader(source) is not None else None
    if below is None and _is_canonical_clamp(node, low, high):
        return False
    if below is not None:
        source = below[0]
        low, high = (min(max(bound, low), high) for bound in below[1:])
    replace_node(node, _add_clamp(node, source, low, high))
    if inner is not None and below is not None:
        inner.graph.remove(inner, safe=True)  # type: ignore[union-attr]  # an inner node is in a graph
    return True


def _is_canonical_clamp(node: ir.Node, low: float, high: float) -> bool:
    if (low, high) == (0.0, math.inf):
        return node.op_type == "Relu"
    wanted = [low > -math.inf] if high == math.inf else [low > -math.inf, True]
    given = list(node.inputs[1:])
    return (
        node.op_type == "Clip"
        and [value is not None for value in given] == wanted
        and all(value is None or not shape_of(value) for value in given)
    )


def _add_clamp(place: ir.Node, source: ir.Value, low: float, high: float) -> ir.Value:
    if (low, high) == (0.0, math.inf):
        return add_before(place, "Relu", [source])
    bounds = [("min", low), ("max", high)]
    values = [
        constant_before(place, name, np.asarray(bound, np.float32)) if math.isfinite(bound) else None
        for name, bound in bounds
    ]
    return add_before(place, "Clip", [source, *(values if values[1] is not None else values[:1])])


def _add_hard_sigmoid(place: ir.Node, source: ir.Value) -> ir.Value:
    return add_before(place, "HardSigmoid", [source], {"alpha": _SLOPE, "beta": _OFFSET})


def _bounds(node: ir.Node) -> tuple[ir.Value, float, float] | None:
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


def _line(value: ir.Value | None) -> _ClampedLine | None:
    """The clamped line that ends in ``value``, or None if its chain holds no clamp."""
    node = value.producer() if value is not None else None
    if node is None:
        return None
    bounds = _bounds(node)
    if bounds is not None:
        return _clamped(_inner_line(bounds[0]), bounds[1], bounds[2])
    scaled = _scaled(node)
    if scaled is None or scaled[1] <= 0 or only_reader(scaled[0]) is None:
        return None
    inner = _line(scaled[0])
    return None if inner is None else _multiplied(inner, scaled[1])


def _inner_line(value: ir.Value) -> _ClampedLine:
    """``slope · x + offset`` or a clamp of it, as far as constants reach."""
    node = value.producer()
    if node is None or only_reader(value) is None:
        return _ClampedLine(value)
    scaled, shifted, bounds = _scaled(node), _shifted(node), _bounds(node)
    if shifted is not None:
        inner = _inner_line(shifted[0])
        return _ClampedLine(
            inner.source,
            inner.slope,
            inner.offset + shifted[1],
            inner.low + shifted[1],
            inner.high + shifted[1],
        )
    if scaled is not None and scaled[1] > 0:
        return _multiplied(_inner_line(scaled[0]), scaled[1])
    if bounds is not None:
        return _clamped(_inner_line(bounds[0]), bounds[1], bounds[2])
    return _ClampedLine(value)


def _clamped(line: _ClampedLine, low: float, high: float) -> _ClampedLine:
    lower, upper = (min(max(bound, low), high) for bound in (line.low, line.high))
    return _ClampedLine(line.source, line.slope, line.offset, lower, upper)


def _multiplied(line: _ClampedLine, factor: float) -> _ClampedLine:
    return _ClampedLine(
        line.source, line.slope * factor, line.offset * factor, line.low * factor, line.high * factor
    )


def _scaled(node: ir.Node) -> tuple[ir.Value, float] | None:
    """(x, factor) of ``x · factor`` or ``x / divisor`` with a scalar constant."""
    if node.op_type == "Div":
        divisor = _scalar(node, 1)
        return (required(node, 0), 1.0 / divisor) if divisor else None
    return _with_scalar(node, "Mul")


def _shifted(node: ir.Node) -> tuple[ir.Value, float] | None:
    """(x, offset) of ``x + offset`` or ``x - offset`` with a scalar constant."""
    if node.op_type == "Sub":
        offset = _scalar(node, 1)
        return (required(node, 0), -offset) if offset is not None else None
    return _with_scalar(node, "Add")


def _with_scalar(node: ir.Node, op_type: str) -> tuple[ir.Value, float] | None:
    if node.op_type != op_type:
        return None
    for index in (1, 0):
        number = _scalar(node, index)
        if number is not None and op_of(node.inputs[1 - index]) != "":
            return required(node, 1 - index), number
    return None


def _scalar(node: ir.Node, index: int) -> float | None:
    """The single number of a constant input, else None."""
    array = array_of(node.inputs[index]) if index < len(node.inputs) else None
    return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None
