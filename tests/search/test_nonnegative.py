"""The solver against every set of coefficients that could be zero."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from edgekit.search.nonnegative import solve

Array = NDArray[np.float64]
SIZES = [(3, 2), (8, 5), (4, 7), (12, 7)]


def by_enumeration(design: Array, target: Array, weights: Array, prior: Array) -> Array:
    """The best of the unconstrained minima over all subsets whose coefficients are not negative."""
    best, best_loss = np.zeros(len(prior)), np.inf
    for size in range(len(prior) + 1):
        for chosen in map(list, itertools.combinations(range(len(prior)), size)):
            found = np.zeros(len(prior))
            if chosen:
                columns = design[:, chosen]
                gram = columns.T @ columns + np.diag(weights[chosen])
                found[chosen] = np.linalg.solve(gram, columns.T @ target + weights[chosen] * prior[chosen])
            loss = float(np.sum((design @ found - target) ** 2) + np.sum(weights * (found - prior) ** 2))
            if np.all(found >= 0) and loss < best_loss:
                best, best_loss = found, loss
    return best


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(("rows", "columns"), SIZES)
def test_it_finds_the_constrained_minimum(rows: int, columns: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    design, target = random.normal(size=(rows, columns)), random.normal(size=rows)
    weights, prior = random.uniform(1e-3, 1e-1, columns), random.uniform(0, 1, columns)
    found = solve(design.tolist(), target.tolist(), weights=weights.tolist(), prior=prior.tolist())
    np.testing.assert_allclose(found, by_enumeration(design, target, weights, prior), atol=1e-8)
    assert min(found) >= 0


def test_a_free_coefficient_may_be_negative() -> None:
    rows = [(1.0, x) for x in (0.0, 1.0, 2.0)]
    intercept, slope = solve(rows, [-3.0, -1.0, 1.0], weights=(1e-12, 1e-12), free=(True, False))
    assert (intercept, slope) == pytest.approx((-3.0, 2.0))


def test_equal_columns_share() -> None:
    found = solve([(1.0, 1.0), (2.0, 2.0)], [2.0, 4.0], weights=(1e-6, 1e-6))
    assert found == pytest.approx((1.0, 1.0), rel=1e-4)
