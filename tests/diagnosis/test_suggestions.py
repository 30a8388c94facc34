"""Which layers deserve a word, and which word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgekit.diagnosis.suggestions import Evidence, suggest

QUIET = [Evidence(f"quiet{i}", weight_noise=5e-5, activation_noise=5e-5) for i in range(19)]
LOUD = Evidence("loud", weight_noise=1e-5, activation_noise=1e-2)


def remedy_of(loud: Evidence) -> str | None:
    *others, found = suggest([*QUIET, loud])
    assert others == [None] * len(QUIET)
    return None if found is None else found.remedy


@pytest.mark.parametrize(
    ("loud", "remedy"),
    [
        (LOUD, "keep_float"),
        (replace(LOUD, cut_share=0.9, cut_values=0.01), "more_images"),
        (replace(LOUD, unevenness=20.0), "equalize"),
        (Evidence("loud", 1e-2, 1e-5, is_per_channel=False), "per_channel"),
        (Evidence("loud", 1e-2, 1e-5, is_per_channel=True), "keep_float"),
        (Evidence("loud", 1e-2, None, cut_share=0.9), "keep_float"),
        (Evidence("loud", 1e-4, 1e-4), None),
    ],
)
def test_the_remedy_follows_from_where_the_error_comes_from(loud: Evidence, remedy: str | None) -> None:
    assert remedy_of(loud) == remedy


def test_a_layer_can_be_named_to_keep_it_in_float() -> None:
    *_, found = suggest([*QUIET, LOUD])
    assert found is not None
    assert found.text.startswith("--keep-float loud:")


def test_a_network_without_loss_needs_nothing() -> None:
    exact = [Evidence("a", 1e-9, 1e-9), Evidence("b", 1e-6, 0.0), Evidence("c", None, None)]
    assert suggest(exact) == [None, None, None]
    assert suggest([]) == []


def test_a_layer_is_left_alone_where_others_would_hardly_gain_by_it() -> None:
    """One of many: five times the others' mean, and 7 % of the noise. Four of its kind are 23 %."""
    many = [Evidence(f"quiet{i}", weight_noise=2e-4, activation_noise=1e-4) for i in range(66)]
    loud = Evidence("loud", weight_noise=1e-5, activation_noise=1.5e-3)
    assert suggest([*many, loud]) == [None] * 67
    assert [one is not None for one in suggest([*many, *[loud] * 4])] == [False] * 66 + [True] * 4
