"""The search: in each family the widest networks that a budget allows, at every resolution and depth.

Costs grow with width, so the widest network that fits is found by bisection, and predicted accuracy grows
with it too: what is left to choose is how depth and resolution share the budget. For families without a
depth that is a scan over resolutions. For those with a compound rule it starts at the largest φ that fits
and climbs from there. Nothing is random.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping, Sequence

from edgekit.errors import CheckError, UnknownNameError
from edgekit.models import zoo
from edgekit.options import Scale
from edgekit.search.budget import Budget, format_amount
from edgekit.search.candidate import Candidate, Evaluator, fits, use_of
from edgekit.search.space import RESOLUTION_STEP, SPACES, WIDTH_STEP, Space, depths

__all__ = ["FULL_USE", "find"]

FULL_USE = 0.97
"""The share of a budget that counts as using it."""

_PHI_STEP = 0.01
_COARSE_STEP = 32
_FINE_WIDTH_STEP = 0.001
_NEAR_WIDTHS = 1.6
_FINE_WIDTHS = 1.5
_FINE_REACH = 16
_LEAST_MARGIN = 0.3
"""Points that no predictor of accuracy tells apart: training once more gives as much."""


def find(evaluator: Evaluator, budgets: Sequence[Budget], families: Sequence[str] = ()) -> list[Candidate]:
    """Networks that meet all ``budgets``, best first, each the widest at its depth and resolution.

    The first uses :data:`FULL_USE` of a budget or more, if any network that the predictor cannot tell
    from the best does. Raises CheckError when nothing meets the budgets, naming the nearest miss and the
    budget to relax, and UnknownNameError for a family that has no published accuracy.
    """
    spaces = _spaces(families)
    searches = [_Search(evaluator, budgets, space) for space in spaces]
    found = _searched(searches)
    if not any(found.values()):
        raise _unmeetable(searches)
    ranked = _ranked(found, budgets)
    exhausted = [search.space for search in searches if search.fit(search.space.largest())]
    if exhausted and not _is_full(ranked[0], budgets):
        found |= _searched([_Search(evaluator, budgets, space.extended()) for space in exhausted])
        ranked = _ranked(found, budgets)
    return ranked


def _searched(searches: Sequence[_Search]) -> dict[_Search, list[Candidate]]:
    """What each search finds, with the rest of the budgets spent where that may make the best one."""
    found = {search: _of_space(search) for search in searches}
    if not any(found.values()):
        return found
    best = _best_first(found)[0]
    if not _is_full(best, searches[0].budgets):
        for search, candidates in found.items():
            if candidates and candidates[0].top1 >= best.top1 - _margin(best):
                candidates += _spend_rest(search, candidates[0])
    return found


def _ranked(found: Mapping[_Search, list[Candidate]], budgets: Sequence[Budget]) -> list[Candidate]:
    return _without_idle(_undominated(_best_first(found)), budgets)


def _spaces(families: Sequence[str]) -> list[Space]:
    known = tuple(dict.fromkeys(zoo.family_of(space.model) for space in SPACES))
    for family in families:
        if family not in known:
            raise UnknownNameError("family", family, known)
    return [space for space in SPACES if not families or zoo.family_of(space.model) in families]


def _is_full(candidate: Candidate, budgets: Sequence[Budget]) -> bool:
    return use_of(candidate, budgets)[0] >= FULL_USE


def _margin(best: Candidate) -> float:
    """Points by which a prediction has to be lower before it says that a network is worse."""
    return max(best.accuracy().error, _LEAST_MARGIN)


def _best_first(found: Mapping[_Search, list[Candidate]]) -> list[Candidate]:
    """By predicted top-1, cheaper first among equals."""
    unique = {(one.model, one.scale): one for candidates in found.values() for one in candidates}
    return sorted(unique.values(), key=lambda one: (-one.top1, one.macs, one.params, one.model))


def _undominated(candidates: list[Candidate]) -> list[Candidate]:
    """Without those that a better one of their family beats or equals in every cost."""
    kept: list[Candidate] = []
    for candidate in candidates:
        costs = candidate.costs
        if not any(
            other.family == candidate.family and all(map(operator.le, other.costs, costs)) for other in kept
        ):
            kept.append(candidate)
    return kept


def _without_idle(candidates: list[Candidate], budgets: Sequence[Budget]) -> list[Candidate]:
    """Without those before the first that uses a budget in full, if it is as good by all that is known."""
    best = candidates[0]
    for index, candidate in enumerate(candidates):
        if candidate.top1 < best.top1 - _margin(best):
            break
        if _is_full(candidate, budgets):
            return candidates[index:]
    return candidates


class _Search:
    """One space under the budgets."""

    def __init__(self, evaluator: Evaluator, budgets: Sequence[Budget], space: Space) -> None:
        self.evaluator = evaluator
        self.budgets = budgets
        self.space = space

    def fit(self, scale: Scale) -> Candidate | None:
        """The candidate at ``scale`` if it meets the budgets."""
        candidate = self.at(scale)
        return candidate if fits(candidate, self.budgets) else None

    def at(self, scale: Scale) -> Candidate:
        """The candidate at ``scale``."""
        return self.evaluator.candidate(self.space.model, scale)

    def widest(
        self,
        depth: float,
        resolution: int,
        widths: tuple[float, float],
        step: float = WIDTH_STEP,
    ) -> Candidate | None:
        """The widest network of that depth and resolution that meets the budgets."""

        def at(index: int) -> Candidate | None:
            return self.fit(Scale(width=round(index * step, 3), depth=depth, resolution=resolution))

        low, high = -(-round(widths[0] * 1000) // round(step * 1000)), int(widths[1] / step + 1e-9)
        best = at(low)
        while best and low < high:
            middle = (low + high + 1) // 2
            wider = at(middle)
            if wider:
                best, low = wider, middle
            else:
                high = middle - 1
        return best


def _of_space(search: _Search) -> list[Candidate]:
    found = _along_rule(search) if search.space.rule else _over_resolutions(search)
    return sorted(found, key=lambda one: -one.top1)


def _over_resolutions(search: _Search) -> list[Candidate]:
    """The widest at resolutions far apart, then at those near the best."""
    space = search.space

    def widest(resolutions: Sequence[int], widths: tuple[float, float]) -> list[Candidate]:
        found = (search.widest(1.0, resolution, widths) for resolution in resolutions)
        return [one for one in found if one]

    coarse = widest(space.resolution_grid()[:: _COARSE_STEP // RESOLUTION_STEP], space.widths)
    if not coarse:
        return []
    best = max(coarse, key=lambda one: one.top1).scale
    near = space.resolution_grid(best.resolution - _COARSE_STEP, best.resolution + _COARSE_STEP)
    return coarse + widest(near, space.widths_near(best.width, _NEAR_WIDTHS))


def _along_rule(search: _Search) -> list[Candidate]:
    """Climb in depth and resolution from the largest φ that fits, by the widest network at each."""
    space = search.space
    assert space.rule
    phi = _largest_phi(search)
    deep, resolutions = space.depth_band(phi), space.resolution_grid(*space.resolution_band(phi))
    widths = space.width_band(phi)
    rule = space.rule.scale(phi)
    place = (
        min(range(len(deep)), key=lambda index: abs(deep[index] - rule.depth)),
        min(range(len(resolutions)), key=lambda index: abs(resolutions[index] - rule.resolution)),
    )
    known: dict[tuple[int, int], Candidate | None] = {}

    def top1(at: tuple[int, int]) -> float:
        if not (0 <= at[0] < len(deep) and 0 <= at[1] < len(resolutions)):
            return -1.0
        if at not in known:
            known[at] = search.widest(deep[at[0]], resolutions[at[1]], widths)
        candidate = known[at]
        return candidate.top1 if candidate else 0.0

    while True:
        best = max([place, *_neighbours(place)], key=top1)
        if top1(best) <= top1(place):
            return [one for one in known.values() if one]
        place = best


def _neighbours(place: tuple[int, int]) -> Iterator[tuple[int, int]]:
    for deeper in (-1, 0, 1):
        for finer in (-2, -1, 0, 1, 2):
            yield place[0] + deeper, place[1] + finer


def _largest_phi(search: _Search) -> float:
    """The largest φ on the rule that meets the budgets, the smallest of the space if none does."""
    space = search.space
    assert space.rule
    low, high = (round(phi / _PHI_STEP) for phi in space.phis)
    while low < high:
        middle = (low + high + 1) // 2
        scale = space.rule.scale(middle * _PHI_STEP)
        if search.fit(scale):
            low = middle
        else:
            high = middle - 1
    return low * _PHI_STEP


def _spend_rest(search: _Search, best: Candidate) -> list[Candidate]:
    """Near ``best``, pairs of pixels and the finest widths: what channels in eights leave of the budget."""
    scale, space = best.scale, search.space
    widths = space.widths_near(scale.width, _FINE_WIDTHS)
    least = max(space.resolutions[0], scale.resolution - _FINE_REACH)
    most = min(space.resolutions[1], scale.resolution + _FINE_REACH)
    found: list[Candidate] = []
    for depth in _near_depths(scale.depth, space):
        # The first stride leaves as much of an odd resolution as of the even one above it.
        for resolution in range(least + least % 2, most + 1, 2):
            widest = search.widest(depth, resolution, widths, _FINE_WIDTH_STEP)
            found += [widest] if widest else []
        if any(_is_full(one, search.budgets) and one.top1 >= best.top1 for one in found):
            break
    return found


def _near_depths(depth: float, space: Space) -> tuple[float, ...]:
    if not space.rule:
        return (depth,)
    index = depths().index(depth)
    return (depth, *depths()[max(0, index - 1) : index], *depths()[index + 1 : index + 2])


def _unmeetable(searches: Sequence[_Search]) -> CheckError:
    budgets = searches[0].budgets
    smallest = [search.at(search.space.smallest()) for search in searches]
    nearest = min(smallest, key=lambda one: use_of(one, budgets)[0])
    missed = [
        (budget.text, format_amount(budget.kind, nearest.amount(budget.kind)))
        for budget in budgets
        if nearest.amount(budget.kind) > budget.limit
    ]
    scale = nearest.scale
    return CheckError(
        f"nothing meets {' and '.join(budget.text for budget in budgets)}: the nearest is {nearest.model} at "
        f"width {scale.width:g}, depth {scale.depth:g} and resolution {scale.resolution}, which takes "
        + " and ".join(f"{needed} where {text} is allowed" for text, needed in missed),
        hint="relax " + " and ".join(f"{text} to {needed} or more" for text, needed in missed),
    )
