"""The search: no budget is ever exceeded, one is used, and what cannot be met is explained."""

from __future__ import annotations

import math
import random

import pytest

from edgekit import target
from edgekit.errors import CheckError, UnknownNameError
from edgekit.options import Precision, Scale
from edgekit.search.budget import Budget, BudgetKind, parse
from edgekit.search.candidate import Evaluator, Setting, fits, use_of
from edgekit.search.front import pareto_front
from edgekit.search.latency import prices_of
from edgekit.search.search import FULL_USE, find
from edgekit.search.space import SPACES, Space

BUDGETS = 60

AMOUNTS: dict[BudgetKind, tuple[float, float, str]] = {
    "macs": (15, 20_000, "MMACs"),
    "params": (0.5, 60, "Mparams"),
    "size": (0.8, 100, "MB"),
    "latency": (0.05, 20, "times MobileNetV2"),
}
MODELS = [(one, model) for one in target.all_targets() for model in one.latency]


def random_setting(rng: random.Random, needs_latency: bool) -> Setting:
    if not needs_latency:
        precision: Precision = rng.choice(("fp32", "fp16", "int8"))
        return Setting("tflite", precision)
    _, model = rng.choice(MODELS)
    return Setting("tflite", model.precision, prices_of(model))


def random_budget(rng: random.Random, kind: BudgetKind, setting: Setting) -> Budget:
    low, high, unit = AMOUNTS[kind]
    amount = math.exp(rng.uniform(math.log(low), math.log(high)))
    if kind == "latency":
        base = Evaluator(setting).candidate("mobilenet_v2", Scale()).latency_ms
        assert base is not None
        return parse(f"{amount * base:.6f}ms")
    return parse(f"{amount:.4f}{unit}")


@pytest.mark.parametrize("seed", range(BUDGETS))
def test_budgets_are_met_and_used(seed: int) -> None:
    rng = random.Random(seed)
    kinds = rng.sample(list(AMOUNTS), rng.choice([1, 1, 2, 3]))
    setting = random_setting(rng, "latency" in kinds)
    budgets = [random_budget(rng, kind, setting) for kind in kinds]
    candidates = find(Evaluator(setting), budgets)
    assert all(fits(candidate, budgets) for candidate in candidates)
    assert [one.top1 for one in candidates] == sorted((one.top1 for one in candidates), reverse=True)
    assert use_of(candidates[0], budgets)[0] >= FULL_USE


@pytest.mark.parametrize(
    ("text", "family"),
    [("36.8Mparams", "mobilenet_v1"), ("4448KB-ram", "mobilenet_v1"), ("12GMACs", "efficientnet_lite")],
)
def test_a_budget_above_all_published_networks_is_used_too(text: str, family: str) -> None:
    """Asked for one family, its networks beyond the published ones are better than none; they say so."""
    candidate = find(Evaluator(Setting("tflite", "int8")), [parse(text)], [family])[0]
    assert use_of(candidate, [parse(text)])[0] >= FULL_USE
    assert candidate.accuracy().extrapolates


@pytest.mark.parametrize(
    ("texts", "family"), [(["173.2KB-ram"], "mobilenet_v2"), (["3.697MB"], "squeezenet")]
)
def test_what_is_left_of_a_small_budget_is_less_than_a_step(texts: list[str], family: str) -> None:
    """Channels come in eights: nothing wider or finer than the best fits in what it leaves."""
    evaluator, budgets = Evaluator(Setting()), [parse(text) for text in texts]
    best = find(evaluator, budgets, [family])[0]
    assert use_of(best, budgets)[0] < FULL_USE
    larger = [
        evaluator.candidate(best.model, Scale(width=best.scale.width + wider / 1000, resolution=resolution))
        for wider in range(200)
        for resolution in (best.scale.resolution, best.scale.resolution + 2)
    ]
    assert all(use_of(one, budgets)[0] <= use_of(best, budgets)[0] for one in larger if fits(one, budgets))


def test_peak_memory_budgets_are_met() -> None:
    for kib in (192, 512, 2048, 8192):
        budgets = [parse(f"{kib}KiB-ram")]
        for candidate in find(Evaluator(Setting(precision="int8")), budgets):
            assert candidate.peak_activation_bytes <= kib * 1024


def test_it_is_deterministic() -> None:
    def found() -> list[tuple[str, Scale, float]]:
        candidates = find(Evaluator(Setting()), [parse("300MFLOPs"), parse("20MB")])
        return [(one.model, one.scale, one.top1) for one in candidates]

    assert found() == found()


def test_more_budget_is_never_worse() -> None:
    top1 = [find(Evaluator(Setting()), [parse(f"{macs}MMACs")])[0].top1 for macs in range(100, 1000, 100)]
    assert top1 == sorted(top1)


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.model)
def test_the_search_finds_what_a_scan_finds(space: Space) -> None:
    """A scan over widths and resolutions, the depth at 1, never finds a better network than the search."""
    budgets = [parse("350MMACs")]
    evaluator = Evaluator(Setting())
    best = find(evaluator, budgets, [evaluator.candidate(space.model, Scale()).family])[0]
    scan = [
        evaluator.candidate(space.model, Scale(width=step / 20, resolution=resolution))
        for step in range(6, 28, 2)
        for resolution in range(112, 257, 24)
    ]
    assert best.top1 >= max(one.top1 for one in scan if fits(one, budgets)) - 0.1


def test_only_the_families_asked_for_are_searched() -> None:
    found = find(Evaluator(Setting()), [parse("300MFLOPs")], ["mobilenet_v1", "squeezenet"])
    assert {one.family for one in found} == {"mobilenet_v1", "squeezenet"}
    with pytest.raises(UnknownNameError, match="unknown family 'mobilnet_v1'"):
        find(Evaluator(Setting()), [parse("300MFLOPs")], ["mobilnet_v1"])


def test_what_nothing_meets_names_the_nearest_and_the_budget_to_relax() -> None:
    with pytest.raises(
        CheckError, match=r"nothing meets 300MFLOPs and 40KB: the nearest is mobilenet_v1"
    ) as caught:
        find(Evaluator(Setting()), [parse("300MFLOPs"), parse("40KB")])
    assert caught.value.exit_code == 1
    assert "relax 40KB to" in caught.value.hint
    assert "300MFLOPs" not in caught.value.hint
    needed = caught.value.hint.removeprefix("relax 40KB to ").split(" KB")[0]
    assert find(Evaluator(Setting()), [parse("300MFLOPs"), parse(f"{float(needed) + 0.1:.1f}KB")])


def test_the_front_has_nothing_that_is_beaten() -> None:
    evaluator = Evaluator(Setting())
    budgets = [parse("300MFLOPs")]
    find(evaluator, budgets)
    everything = [one for one in evaluator.seen.values() if fits(one, budgets)]
    front = pareto_front(everything, "macs")
    for member in front:
        assert not [one for one in everything if one.macs <= member.macs and one.top1 > member.top1]
    assert [one.macs for one in front] == sorted(one.macs for one in front)
    assert max(one.top1 for one in everything) == front[-1].top1
