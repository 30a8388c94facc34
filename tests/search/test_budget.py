"""Budgets mean what they say, and nonsense is explained."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.errors import InputError
from edgekit.search.budget import FORMS, BudgetKind, format_amount, parse


@pytest.mark.parametrize(
    ("text", "kind", "limit"),
    [
        ("300MFLOPs", "macs", 300e6),
        ("0.3GMACs", "macs", 300e6),
        ("250000KMACs", "macs", 250e6),
        ("3.5Mparams", "params", 3.5e6),
        ("4MB", "size", 4e6),
        ("512KiB", "size", 512 * 1024),
        ("512KB-ram", "ram", 512e3),
        ("1MiB-ram", "ram", 1024 * 1024),
        ("20ms", "latency", 20.0),
        (".5s", "latency", 500.0),
        ("800us", "latency", 0.8),
    ],
)
def test_a_budget_is_its_amount(text: str, kind: BudgetKind, limit: float) -> None:
    budget = parse(text)
    assert (budget.text, budget.kind) == (text, kind)
    assert budget.limit == pytest.approx(limit, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("300", "a budget is 300MFLOPs"),
        ("", "a budget is"),
        ("MFLOPs", "a budget is"),
        ("-3MB", "a budget is"),
        ("0ms", "a budget is"),
        ("1e9MACs", "did you mean 1MACs?"),
        ("١ms", "a budget is"),
        ("9" * 400 + "ms", "a budget is"),
        ("300mflops", "did you mean 300MFLOPs?"),
        ("300 MFLOPs", "did you mean 300MFLOPs?"),
        ("20MS", "did you mean 20ms?"),
        ("512kb-ram", "did you mean 512KB-ram?"),
        ("5Mparam", "did you mean 5Mparams?"),
        ("5parsecs", "did you mean"),
        ("20ms\n", "did you mean 20ms?"),
    ],
)
def test_nonsense_is_explained(text: str, hint: str) -> None:
    with pytest.raises(InputError, match="is not a budget") as caught:
        parse(text)
    assert hint in caught.value.hint


@given(st.text(max_size=12))
def test_any_text_is_a_budget_or_an_input_error(text: str) -> None:
    with contextlib.suppress(InputError):
        assert parse(text).limit > 0


@pytest.mark.parametrize("kind", FORMS)
def test_amounts_can_be_read_at_every_size(kind: BudgetKind) -> None:
    for exponent in range(-3, 13):
        assert format_amount(kind, 1.5 * 10**exponent)
