"""A network of the search with everything that budgets ask of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from edgekit.models import zoo
from edgekit.models.cost import Cost, cost
from edgekit.models.network import Network
from edgekit.options import Format, Precision, Scale
from edgekit.search.accuracy import Accuracy, Law, law_of, point_of
from edgekit.search.budget import Budget, BudgetKind
from edgekit.search.file_size import file_bytes
from edgekit.search.work import Prices, latency_ms

__all__ = ["Candidate", "Evaluator", "Setting", "fits", "use_of"]


@dataclass(frozen=True)
class Setting:
    """What files are made of and what time costs: a format, a precision and, with a target, its prices."""

    format: Format = "tflite"
    precision: Precision = "fp32"
    prices: Prices | None = None


@dataclass(frozen=True, eq=False)
class Candidate:
    """One configuration: what it costs and what it is predicted to reach.

    Figures are worked out when they are first asked for: a search rejects most candidates by one of them.
    """

    network: Network
    setting: Setting

    @property
    def model(self) -> str:
        return self.network.name

    @property
    def family(self) -> str:
        return self.network.family

    @property
    def scale(self) -> Scale:
        return self.network.scale

    @property
    def macs(self) -> int:
        return self._cost.macs

    @property
    def params(self) -> int:
        return self._cost.params

    @property
    def peak_activation_bytes(self) -> int:
        return self._cost.peak_activation_bytes

    @cached_property
    def size_bytes(self) -> int:
        """Of the exported file, an upper bound."""
        return file_bytes(self.network, self.setting.format, self.setting.precision)

    @cached_property
    def latency_ms(self) -> float | None:
        """Predicted for the target, None without one."""
        if self.setting.prices is None:
            return None
        return latency_ms(self.network, self.setting.precision, self.setting.prices)

    @cached_property
    def top1(self) -> float:
        """Predicted percent on ImageNet-1k, in fp32."""
        return self._law.top1(point_of(self.network, self._law.reference))

    @cached_property
    def costs(self) -> tuple[float, ...]:
        """Everything that a budget may limit; without a target, latency is as multiply-adds."""
        latency_ms = self.macs if self.latency_ms is None else self.latency_ms
        return (self.macs, self.params, self.peak_activation_bytes, latency_ms)

    def accuracy(self) -> Accuracy:
        """The same with its error, and whether it extrapolates."""
        return self._law.predict(self.network)

    def amount(self, kind: BudgetKind) -> float:
        """What it costs of that kind. A latency that nobody can predict is infinite."""
        return float(_AMOUNTS[kind](self))

    @cached_property
    def _cost(self) -> Cost:
        return cost(self.network, self.setting.precision)

    @property
    def _law(self) -> Law:
        law = law_of(self.model)
        assert law, "the search covers families whose accuracy is published"
        return law


_AMOUNTS: dict[BudgetKind, Callable[[Candidate], float]] = {
    "macs": lambda one: one.macs,
    "params": lambda one: one.params,
    "size": lambda one: one.size_bytes,
    "ram": lambda one: one.peak_activation_bytes,
    "latency": lambda one: math.inf if one.latency_ms is None else one.latency_ms,
}


def fits(candidate: Candidate, budgets: Sequence[Budget]) -> bool:
    """Whether it exceeds none of the budgets."""
    return all(candidate.amount(budget.kind) <= budget.limit for budget in budgets)


def use_of(candidate: Candidate, budgets: Sequence[Budget]) -> tuple[float, Budget]:
    """The largest share of a budget that it uses, and which budget that is: the one that binds."""
    shares = [(candidate.amount(budget.kind) / budget.limit, budget) for budget in budgets]
    return max(shares, key=lambda share: share[0])


class Evaluator:
    """Makes candidates of one setting, each once."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.seen: dict[tuple[str, Scale], Candidate] = {}

    def candidate(self, model: str, scale: Scale) -> Candidate:
        """The candidate of ``model`` at ``scale``. Raises InputError for a scale that cannot be built."""
        known = self.seen.get((model, scale))
        if known is None:
            known = self.seen[model, scale] = Candidate(zoo.network(model, scale), self.setting)
        return known
