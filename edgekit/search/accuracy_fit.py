"""Fitting the laws of accuracy to their published rows, and how far they err on rows they did not see."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from edgekit.search.accuracy import AccuracyRow, Law, LawErrors, Point, Term, network_of, point_of
from edgekit.search.compound import DEPTH_SHARE, RESOLUTION_SHARE, WIDTH_SHARE
from edgekit.search.nonnegative import solve

__all__ = ["Residual", "fit_laws", "leave_one_out", "rank_correlation"]

_REFERENCE = (1.0,)
_RIDGE = 1e-6
_FREE = 1e-12
_DEPTH_OF_WIDTH = 0.5
"""Depth against width where nobody varied depth: a step of depth costs as many multiply-adds as half a
step of width, and at the compound rule's optimum gains are as costs."""


@dataclass(frozen=True)
class Residual:
    """One published result beside what is predicted for it, in percent."""

    row: AccuracyRow
    predicted: float

    @property
    def error(self) -> float:
        """In points."""
        return self.predicted - self.row.top1


def fit_laws(laws: Sequence[Law]) -> tuple[Law, ...]:
    """``laws`` with coefficients and errors fitted anew to their rows."""
    fitted = {law.reference: _with_errors(law, _fit(law, law.rows)) for law in laws if law.kind != "borrowed"}
    grids = [law for law in fitted.values() if law.kind == "grid"]
    return tuple(
        fitted[law.reference] if law.kind != "borrowed" else _borrow(law, fitted[law.lender], grids)
        for law in laws
    )


def leave_one_out(law: Law) -> tuple[Residual, ...]:
    """Every row predicted by a fit to the others. Empty for a law that has no slopes of its own."""
    if law.kind == "borrowed":
        return ()
    return tuple(
        Residual(row, _fit(law, law.rows[:index] + law.rows[index + 1 :]).top1(_point(law, row)))
        for index, row in enumerate(law.rows)
    )


def rank_correlation(pairs: Sequence[tuple[float, float]]) -> float:
    """Spearman's, with equal values sharing their mean rank."""
    left, right = (_ranks([pair[side] for pair in pairs]) for side in (0, 1))
    return statistics.correlation(left, right)


def _with_errors(law: Law, fitted: Law) -> Law:
    left_out = leave_one_out(law)
    return msgspec.structs.replace(
        fitted,
        leave_one_out=LawErrors(
            mean=round(statistics.fmean(abs(one.error) for one in left_out), 3),
            maximum=round(max(abs(one.error) for one in left_out), 3),
            rank_correlation=round(rank_correlation([(one.predicted, one.row.top1) for one in left_out]), 4),
        ),
    )


def _fit(law: Law, rows: Sequence[AccuracyRow]) -> Law:
    return _FITS[law.kind](law, rows)


def _fit_grid(law: Law, rows: Sequence[AccuracyRow]) -> Law:
    """Width and resolution by least squares; depth, which no row varies, by the compound rule."""
    points = [_point(law, row) for row in rows]
    intercept, width, resolution = solve(
        [
            (1.0, point.width**-law.width.exponent, point.resolution**-law.resolution.exponent)
            for point in points
        ],
        [_loss(row) for row in rows],
        weights=(_FREE, _RIDGE, _RIDGE),
        free=(True, False, False),
    )
    depth = _DEPTH_OF_WIDTH * width  # all rows have depth 1, so the intercept that they give includes it
    return msgspec.structs.replace(
        law,
        intercept=_digits(intercept - depth),
        width=_term(width, law.width.exponent, [point.width for point in points]),
        depth=_term(depth, law.width.exponent, [point.depth for point in points]),
        resolution=_term(resolution, law.resolution.exponent, [point.resolution for point in points]),
    )


def _fit_compound(law: Law, rows: Sequence[AccuracyRow]) -> Law:
    """One amplitude along the rule.

    The rule is taken as the best direction at every cost: what a dimension gains is in proportion to the
    multiply-adds it costs (1 for depth, 2 for width and resolution), and fades alike in all three.
    """
    fade = law.depth.exponent * DEPTH_SHARE
    shares = (2 * WIDTH_SHARE, DEPTH_SHARE, 2 * RESOLUTION_SHARE)
    exponents = (fade / WIDTH_SHARE, fade / DEPTH_SHARE, fade / RESOLUTION_SHARE)

    def feature(point: Point) -> float:
        return sum(
            share * math.pow(one, -exponent)
            for one, share, exponent in zip(point, shares, exponents, strict=True)
        )

    points = [_point(law, row) for row in rows]
    intercept, amplitude = solve(
        [(1.0, feature(point)) for point in points],
        [_loss(row) for row in rows],
        weights=(_FREE, _RIDGE),
        free=(True, False),
    )
    width, depth, resolution = (
        _term(amplitude * share, exponent, _REFERENCE)
        for share, exponent in zip(shares, exponents, strict=True)
    )
    return msgspec.structs.replace(
        law, intercept=_digits(intercept), width=width, depth=depth, resolution=resolution
    )


def _borrow(law: Law, lender: Law, grids: Sequence[Law]) -> Law:
    """The lender's slopes through the law's own row; the error is what such a loan costs elsewhere."""
    loans = [
        abs(_anchored(one, other, _base_row(one)).top1(_point(one, row)) - row.top1)
        for one in grids
        for other in grids
        if one is not other
        for row in one.rows
    ]
    errors = LawErrors(mean=round(statistics.fmean(loans), 3), maximum=round(max(loans), 3))
    return msgspec.structs.replace(_anchored(law, lender, _base_row(law)), leave_one_out=errors)


def _base_row(law: Law) -> AccuracyRow:
    """The row nearest to width 1 and 224 pixels."""
    return min(law.rows, key=lambda row: sum(abs(math.log(one)) for one in _point(law, row)))


def _anchored(law: Law, lender: Law, row: AccuracyRow) -> Law:
    lent = msgspec.structs.replace(law, width=lender.width, depth=lender.depth, resolution=lender.resolution)
    intercept = _loss(row) - sum(lent.features(_point(law, row)))
    return msgspec.structs.replace(lent, intercept=_digits(intercept))


def _point(law: Law, row: AccuracyRow) -> Point:
    return point_of(network_of(row), law.reference)


def _loss(row: AccuracyRow) -> float:
    return math.log(-math.log(row.top1 / 100))


def _term(amplitude: float, exponent: float, published: Sequence[float]) -> Term:
    return Term(
        amplitude=_digits(amplitude), exponent=_digits(exponent), straight_below=_digits(min(published))
    )


def _digits(value: float) -> float:
    return float(f"{value:.6g}")


def _ranks(values: Sequence[float]) -> list[float]:
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2
        for value in values
    ]


_FITS: dict[str, Callable[[Law, Sequence[AccuracyRow]], Law]] = {
    "grid": _fit_grid,
    "compound": _fit_compound,
}
