"""Write each activation in one form: a clamp, a hard sigmoid, a hard swish, or a product with a sigmoid.

Clamps are ``Relu`` or ``Clip`` with scalar bounds; ``x · clamp(x + 3, 0, 6) / 6`` is ``HardSwish`` in any
spelling; SiLU is ``Mul(x, Sigmoid(x))``.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from edgekit.errors import UnsupportedError
from edgekit.graph.clamps import ClampedLine, bounds_of, line_of, scalar_factor
from edgekit.graph.edit import add_before, constant_before, drop_node, replace_node, with_attributes
from edgekit.graph.values import only_reader, required, shape_of

__all__ = ["normalize_activations"]

_TOLERANCE = 1e-6
_SLOPE, _OFFSET = 1.0 / 6.0, 0.5


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
    line = line_of(node.outputs[0])
    if line is None or not _is_hard_sigmoid(line):
        return False
    replace_node(node, _add_hard_sigmoid(node, line.source))
    return True


def _match_scaled_hard_swish(node: ir.Node) -> bool:
    """``x · clamp(x + 3, 0, 6) / 6``, divided last."""
    scaled = scalar_factor(node)
    if scaled is None:
        return False
    product, factor = scaled
    gate = product.producer()
    if gate is None or gate.op_type != "Mul" or only_reader(product) is None:
        return False
    for x, other in (gate.inputs, gate.inputs[::-1]):
        line = line_of(other) if other is not None and only_reader(other) is not None else None
        if line is None or line.source is not x:
            continue
        if factor > 0 and _is_hard_sigmoid(line.times(factor)):
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


def _is_hard_sigmoid(line: ClampedLine) -> bool:
    given = (line.slope, line.offset, line.low, line.high)
    return all(
        math.isclose(a, b, abs_tol=_TOLERANCE)
        for a, b in zip(given, (_SLOPE, _OFFSET, 0.0, 1.0), strict=True)
    )


def _is_standard(node: ir.Node) -> bool:
    alpha, beta = node.attributes.get_float("alpha", 0.2), node.attributes.get_float("beta", 0.5)
    return math.isclose(alpha, _SLOPE, abs_tol=_TOLERANCE) and math.isclose(beta, _OFFSET, abs_tol=_TOLERANCE)


def _write_clamp(node: ir.Node) -> bool:
    """One ``Relu`` or ``Clip`` for a chain of clamps."""
    bounds = bounds_of(node)
    if bounds is None and node.op_type == "Clip":
        raise UnsupportedError(f"node {node.name!r} (Clip): its bounds must be constant scalars")
    if bounds is None:
        return False
    source, low, high = bounds
    inner = source.producer()
    below = bounds_of(inner) if inner is not None and only_reader(source) is not None else None
    if below is None and _is_canonical_clamp(node, low, high):
        return False
    if below is not None:
        source = below[0]
        low, high = (min(max(bound, low), high) for bound in below[1:])
    replace_node(node, _add_clamp(node, source, low, high))
    if inner is not None and below is not None:
        drop_node(inner)
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
