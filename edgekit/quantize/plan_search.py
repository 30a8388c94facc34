"""The fewest layers kept in higher precision that reach a wanted accuracy.

Sensitivities give an order: step by step, the layers whose keeping takes most noise off the logits for
each layer kept. A step is a layer, which saves the error of its weights, or a value's maker together with
all its readers, which saves the rounding of the value. The order's prefixes are then tried in earnest:
1, 2, 4, 8 … steps until one is good enough, and between that and the one before by bisection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from edgekit.quantize.plan import Layer, Plan
from edgekit.quantize.sensitivity import LayerSensitivity

__all__ = ["Found", "Trial", "order_layers", "search"]


@dataclass(frozen=True)
class Trial:
    """One plan that was tried: the layers it keeps, and the accuracy it loses in percentage points."""

    kept: tuple[str, ...]
    drop: float


@dataclass(frozen=True)
class Found:
    """The outcome of a search. ``best`` keeps the fewest layers within the limit, or loses least.

    ``trials`` are all plans that were tried, in order.
    """

    best: Trial
    reached: bool
    trials: tuple[Trial, ...]


def search(
    steps: Sequence[Sequence[str]],
    measure: Callable[[tuple[str, ...]], float],
    max_drop: float,
    plain_drop: float,
) -> Found:
    """The shortest prefix of ``steps`` whose layers, kept, lose at most ``max_drop`` points.

    ``measure`` gives the points that a plan loses; ``plain_drop`` is what nothing kept loses. More layers
    are taken to lose no more, as they do but for chance; each plan is measured once.
    """
    trials: list[Trial] = []

    def passes(length: int) -> bool:
        kept = tuple(name for step in steps[:length] for name in step)
        trials.append(Trial(kept, measure(kept)))
        return trials[-1].drop <= max_drop

    plain = Trial((), plain_drop)
    if plain_drop <= max_drop:
        return Found(plain, True, ())
    failed, passed = 0, None
    for length in _lengths(len(steps)):
        if passes(length):
            passed = length
            break
        failed = length
    while passed is not None and passed - failed > 1:
        middle = (failed + passed) // 2
        failed, passed = (failed, middle) if passes(middle) else (middle, passed)
    good = [trial for trial in trials if trial.drop <= max_drop]
    best = (
        min(good, key=lambda one: len(one.kept)) if good else min([plain, *trials], key=lambda one: one.drop)
    )
    return Found(best, bool(good), tuple(trials))


def _lengths(count: int) -> Iterator[int]:
    length = 1
    while length < count:
        yield length
        length *= 2
    if count:
        yield count


def order_layers(plan: Plan, sensitivities: Sequence[LayerSensitivity]) -> tuple[tuple[str, ...], ...]:
    """Steps of layers to keep, the most useful first, until nothing is left to gain.

    Each step's layers are new; ties go to the earlier layer.
    """
    ledger = _Ledger(plan, sensitivities)
    kept: set[str] = set()
    steps: list[tuple[str, ...]] = []
    while True:
        gains = [(ledger.gain(step, kept), -i) for i, step in enumerate(ledger.steps)]
        best, position = max(gains, default=(0.0, 0))
        if best <= 0:
            return tuple(steps)
        new = tuple(name for name in ledger.steps[-position] if name not in kept)
        kept.update(new)
        steps.append(new)


class _Ledger:
    """Which noise each layer, or a value's maker and readers together, would save."""

    def __init__(self, plan: Plan, sensitivities: Sequence[LayerSensitivity]) -> None:
        self._noise = {one.name: one for one in sensitivities}
        self._order = [layer.name for layer in plan.layers]
        self._maker = {layer.output: layer for layer in plan.layers}
        self._readers: dict[str, list[Layer]] = {layer.output: [] for layer in plan.layers}
        for layer in plan.layers:
            for name in set(layer.inputs) & set(self._readers):
                self._readers[name].append(layer)
        self._ends = {plan.output}
        self._enclosures = {name: self._enclosure(name) for name in self._maker}
        self._enclosed: dict[str, list[str]] = {name: [] for name in self._order}
        for value, enclosure in self._enclosures.items():
            for layer_name in enclosure:
                self._enclosed[layer_name].append(value)
        singles = [(layer.name,) for layer in plan.layers]
        pairs = [tuple(sorted(found, key=self._order.index)) for found in self._enclosures.values() if found]
        self.steps = list(dict.fromkeys(singles + pairs))

    def _enclosure(self, name: str) -> frozenset[str]:
        """Layers that all have to be float for the value never to be rounded; empty if it always is.

        Copies round nothing themselves: what matters is who reads behind them.
        """
        found, pending = {self._maker[name].name}, [name]
        while pending:
            value = pending.pop()
            if value in self._ends:
                return frozenset()
            for reader in self._readers[value]:
                found.add(reader.name)
                if reader.is_copy:
                    pending.append(reader.output)
        return frozenset(found)

    def gain(self, step: Sequence[str], kept: set[str]) -> float:
        """Noise that keeping the step's layers saves, for each layer newly kept."""
        new = [name for name in step if name not in kept]
        if not new:
            return 0.0
        together = kept.union(new)
        saved = sum(self._noise[name].weight_noise for name in new)
        touched = sorted({name for layer in new for name in self._enclosed[layer]})
        closed = (name for name in touched if self._enclosures[name] <= together)
        return (saved + sum(self._noise[self._maker[name].name].output_noise for name in closed)) / len(new)
