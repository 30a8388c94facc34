"""The Pareto front: networks that no other beats in both accuracy and cost."""

from __future__ import annotations

from collections.abc import Iterable

from edgekit.search.budget import BudgetKind
from edgekit.search.candidate import Candidate

__all__ = ["pareto_front"]


def pareto_front(candidates: Iterable[Candidate], kind: BudgetKind) -> list[Candidate]:
    """The candidates that are more accurate than every cheaper one, the cheapest first."""
    front: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda one: (one.amount(kind), -one.top1)):
        if not front or candidate.top1 > front[-1].top1:
            front.append(candidate)
    return front
