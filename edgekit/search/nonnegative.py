"""Least squares with coefficients that cannot be negative, drawn towards a prior."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["solve"]

_ROUNDING = 1e-12
_MOST_STEPS = 1000
Array: TypeAlias = "NDArray[Any]"


def solve(
    rows: Sequence[Sequence[float]],
    values: Sequence[float],
    *,
    weights: Sequence[float],
    prior: Sequence[float] | None = None,
    free: Sequence[bool] | None = None,
) -> tuple[float, ...]:
    """The ``c`` that minimizes ``Σ (row·c − value)² + Σ weight (c − prior)²`` with every ``c ≥ 0``.

    ``prior`` is zero by default; where ``free`` is true a coefficient may be negative. Positive weights
    make the minimum unique. Solved by the active-set method of Lawson and Hanson (*Solving Least Squares
    Problems*, 1974, chapter 23).
    """
    import numpy as np  # here: predictions, which share the package, do without

    design, target = np.asarray(rows, float), np.asarray(values, float)
    drawn = np.zeros(len(weights)) if prior is None else np.asarray(prior, float)
    gram = design.T @ design + np.diag(np.asarray(weights, float))
    right = design.T @ target + np.asarray(weights, float) * drawn
    return tuple(float(one) for one in _active_set(gram, right, np.asarray(free or [False] * len(weights))))


def _active_set(gram: Array, right: Array, free: Array) -> Array:
    """The minimum of ``c·gram·c / 2 − right·c`` under ``c ≥ 0`` except where ``free``."""
    import numpy as np

    passive = free.copy()
    solution = np.zeros(len(right))
    for _ in range(_MOST_STEPS):  # it ends long before; rounding could make it go in circles
        solution = _step(gram, right, passive, free, solution)
        gradient = np.where(passive, -np.inf, right - gram @ solution)
        best = int(np.argmax(gradient))
        if gradient[best] <= _ROUNDING * max(1.0, float(np.abs(right).max())):
            break
        passive[best] = True
    return solution


def _step(gram: Array, right: Array, passive: Array, free: Array, solution: Array) -> Array:
    """Solve for the passive coefficients; those that would turn negative become active, one by one."""
    import numpy as np

    while True:
        wanted = np.zeros(len(right))
        if passive.any():
            wanted[passive] = np.linalg.solve(gram[np.ix_(passive, passive)], right[passive])
        falling = passive & ~free & (wanted < 0)
        if not falling.any():
            return wanted
        shares = solution[falling] / (solution[falling] - wanted[falling])
        solution = solution + shares.min() * (wanted - solution)
        stopped = np.flatnonzero(falling)[np.argmin(shares)]
        passive[stopped] = False
        solution[stopped] = 0.0
