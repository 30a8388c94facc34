"""The published networks fall out of the compound rule."""

from __future__ import annotations

import itertools

import pytest

from edgekit.models import zoo
from edgekit.search.compound import PAPER, RULES


@pytest.mark.parametrize("family", RULES)
def test_the_rule_gives_every_published_network_of_its_family(family: str) -> None:
    rule = RULES[family]
    assert tuple(rule.phis) == zoo.names(family)
    for name in rule.phis:
        assert rule.published(name) == zoo.default_scale(name)


@pytest.mark.parametrize("family", RULES)
def test_a_step_doubles_the_multiply_adds(family: str) -> None:
    rule = RULES[family]
    assert rule.alpha * rule.beta**2 * rule.gamma**2 == pytest.approx(2, rel=1e-12)


def test_the_constants_are_the_papers_on_its_grid() -> None:
    rule = RULES["efficientnet"]
    for exact, printed in zip((rule.alpha, rule.beta, rule.gamma), PAPER, strict=True):
        assert abs(exact - printed) < 0.025


@pytest.mark.parametrize("family", RULES)
def test_everything_grows_with_phi(family: str) -> None:
    rule = RULES[family]
    scales = [rule.scale(step / 20) for step in range(-120, 160)]
    for smaller, larger in itertools.pairwise(scales):
        assert smaller.width < larger.width
        assert smaller.depth < larger.depth
        assert smaller.resolution <= larger.resolution


@pytest.mark.parametrize("family", RULES)
def test_the_continuous_rule_passes_by_the_published_networks(family: str) -> None:
    rule = RULES[family]
    for name, phi in rule.phis.items():
        published, exact = rule.published(name), rule.scale(phi)
        assert abs(exact.width - published.width) <= 0.05
        assert abs(exact.depth - published.depth) <= 0.06
        assert abs(exact.resolution - published.resolution) <= 2
