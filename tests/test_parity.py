"""Agreement, SQNR and top-k against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edgekit.errors import InputError
from edgekit.parity import agreement, expected_agreement, max_relative_error, parity, sqnr_db, top_k

REFERENCE = np.array([[3.0, 4.0], [0.0, 0.0], [12.0, 0.0]])


def test_sqnr_is_the_ratio_of_powers() -> None:
    # 9 + 16 + 144 = 169 against a noise of 1.69: exactly 20 dB
    noise = np.zeros_like(REFERENCE)
    noise[0, 0] = 1.3
    assert sqnr_db(REFERENCE, REFERENCE + noise) == pytest.approx(20)
    assert sqnr_db(REFERENCE, REFERENCE - 10 * noise) == pytest.approx(0)


def test_equal_logits_have_no_noise() -> None:
    measured = parity(REFERENCE, REFERENCE)
    assert (measured.images, measured.agreement, measured.sqnr_db) == (3, 100, math.inf)
    assert measured.max_relative_error == 0


def test_noise_without_a_signal_is_as_bad_as_can_be() -> None:
    zeros = np.zeros((1, 2))
    assert sqnr_db(zeros, zeros + 1) == -math.inf
    assert max_relative_error(zeros, zeros + 1) == math.inf


def test_agreement_counts_equal_top_classes() -> None:
    test = np.array([[1.0, 2.0], [0.0, 1.0], [5.0, 0.0]])
    assert agreement(REFERENCE, test) == pytest.approx(200 / 3)


def test_the_expected_agreement_is_what_random_noise_leaves() -> None:
    """Leads evenly between 0 and 2 of the noise's sigma: (2 Φ(2) + φ(2) - φ(0)) / 2 keep their class."""
    rng = np.random.default_rng(0)
    lead = rng.uniform(0, 2, 4000)
    logits = np.stack([lead, np.zeros_like(lead), np.full_like(lead, -50)], axis=1)
    found = [logits + rng.normal(0, math.sqrt(0.5), logits.shape) for _ in range(20)]
    expected = np.mean([expected_agreement(logits, one) for one in found])
    assert expected == pytest.approx(np.mean([agreement(logits, one) for one in found]), abs=0.5)
    assert expected == pytest.approx(80.47, abs=0.5)


def test_a_few_large_errors_are_no_noise_to_be_expected() -> None:
    rng = np.random.default_rng(0)
    logits = np.stack([np.full(100, 3.0), np.zeros(100)], axis=1)
    test = logits + rng.normal(0, 0.1, logits.shape)
    test[:20] = test[:20, ::-1]
    assert agreement(logits, test) == 80
    assert expected_agreement(logits, test) == pytest.approx(100)


def test_no_noise_and_a_single_class_change_nothing() -> None:
    assert expected_agreement(REFERENCE, REFERENCE) == 100
    assert expected_agreement([[1.0], [2.0]], [[3.0], [0.0]]) == 100


def test_the_relative_error_is_in_units_of_the_largest_logit() -> None:
    assert max_relative_error(REFERENCE, REFERENCE - np.array([[0], [3], [0]])) == pytest.approx(0.25)


@pytest.mark.parametrize(("k", "percent"), [(1, 25), (2, 50), (3, 100)])
def test_top_k_looks_that_far_down(k: int, percent: float) -> None:
    logits = np.array([[3, 2, 1]] * 4)
    assert top_k(logits, [0, 1, 2, 2], k) == percent


def test_shapes_must_fit() -> None:
    with pytest.raises(InputError, match=r"\(3, 2\) are compared with \(2, 2\)"):
        agreement(REFERENCE, REFERENCE[:2])
    with pytest.raises(InputError, match=r"expected \[images, classes\]"):
        sqnr_db(REFERENCE[0], REFERENCE[0])
    with pytest.raises(InputError, match="2 labels for 3 images"):
        top_k(REFERENCE, [0, 1], 1)
    with pytest.raises(InputError, match="k is 3, expected 1 to 2"):
        top_k(REFERENCE, [0, 1, 0], 3)
