"""Ranges of values that only an activation reads: what it flattens needs no steps.

SiLU, hard-swish and the sigmoids map a wide part of their input to nearly one number: hard-swish is 0 below
-3 exactly, SiLU nearly so below -8. A range that covers that part spends its steps on differences that the
next layer never sees. Such a value's range is the one that leaves the least error behind the activation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.quantize.arithmetic import ActivationParams, activation_params
from edgekit.quantize.observers import Observer
from edgekit.quantize.plan import Layer, Plan

__all__ = ["CURVES", "Curve", "curves_of", "fit_curve"]

FloatArray = npt.NDArray[np.float64]

_SHARES = np.linspace(1.0, 0.1, 46)  # of the chosen range's ends that are tried, the whole first


@dataclass(frozen=True)
class Curve:
    """An activation that is flat far below zero, and, if ``is_flat_above``, far above as well."""

    function: Callable[[FloatArray], FloatArray]
    is_flat_above: bool = False


def _sigmoid(x: FloatArray) -> FloatArray:
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def _hard_sigmoid(x: FloatArray) -> FloatArray:
    return np.clip(x / 6 + 0.5, 0, 1)


CURVES: dict[str, Curve] = {
    "HardSigmoid": Curve(_hard_sigmoid, is_flat_above=True),
    "HardSwish": Curve(lambda x: x * _hard_sigmoid(x)),
    "Sigmoid": Curve(_sigmoid, is_flat_above=True),
    "SiLU": Curve(lambda x: x * _sigmoid(x)),
    "Tanh": Curve(np.tanh, is_flat_above=True),
}
"""Activation → its curve; ``SiLU`` is a value's product with its own sigmoid."""

_GATES = {"Sigmoid": "SiLU", "HardSigmoid": "HardSwish"}


def curves_of(plan: Plan) -> Mapping[str, Curve]:
    """Values that nothing but one activation reads, and that share their parameters with no other."""
    free = {group[0] for i, group in enumerate(plan.groups) if len(group) == 1 and i not in plan.fixed}
    found: dict[str, Curve] = {}
    for name in plan.values:
        if name not in free or name in (plan.input, plan.output):
            continue
        activation = _activation([layer for layer in plan.layers if name in layer.inputs], name)
        if activation is not None:
            found[name] = CURVES[activation]
    return found


def _activation(readers: list[Layer], name: str) -> str | None:
    """The one activation that the readers of a value make up, or None."""
    if any(reader.precision != "int8" for reader in readers):
        return None
    if len(readers) == 1 and readers[0].op_type in CURVES:
        return readers[0].op_type
    if len(readers) != 2 or readers[0].op_type not in _GATES:
        return None
    gate, product = readers
    is_product = product.op_type == "Mul" and set(product.inputs) == {name, gate.output}
    return _GATES[gate.op_type] if is_product else None


def fit_curve(observer: Observer, curve: Curve, chosen: ActivationParams) -> ActivationParams:
    """Parameters with the least squared error behind the curve.

    Only ends at which the curve is flat move, inwards from those of ``chosen``: what the choice of the range
    kept elsewhere is kept.
    """
    seen = observer.counts > 0
    centers, counts = observer.centers()[seen], observer.counts[seen]
    exact = curve.function(centers)

    def error(params: ActivationParams) -> float:
        steps = np.clip(np.rint(centers / params.scale) + params.zero_point, params.least, params.most)
        answers = curve.function((steps - params.zero_point) * params.scale)
        return float(np.dot(counts, (answers - exact) ** 2))

    best = min(
        [chosen, *(activation_params(share * chosen.low, chosen.high) for share in _SHARES)], key=error
    )
    if not curve.is_flat_above:
        return best
    return min([best, *(activation_params(best.low, share * best.high) for share in _SHARES)], key=error)
