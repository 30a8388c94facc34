"""A baseline fails for what is slower for certain, and says what it cannot judge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekit.errors import InputError
from edgekit.measure.record import Environment, LatencyRecord
from edgekit.measure.regression import changes, turns_of
from edgekit.measure.statistics import summarize
from records import latency_record


def measured(ms: float, seed: int = 0, spread: float = 0.002, **fields: Any) -> LatencyRecord:
    """Samples that are never quicker than ``ms``."""
    samples = ms * (1 + spread * np.abs(np.random.default_rng(seed).standard_normal(250)))
    values = tuple(samples.tolist())
    return latency_record(latency_ms=summarize(values), samples_ms=values, rounds=(10,) * 25, **fields)


def is_regression(new: LatencyRecord, old: LatencyRecord, limit: float = 0.05) -> bool:
    (change,) = changes([new], [old])
    return change.is_regression(limit)


def test_beyond_the_limit_is_a_regression_and_within_it_not() -> None:
    assert is_regression(measured(5.5, 1), measured(5.0, 2))
    assert not is_regression(measured(5.15, 1), measured(5.0, 2))
    assert not is_regression(measured(4.0, 1), measured(5.0, 2))
    assert is_regression(measured(5.15, 1), measured(5.0, 2), limit=0.01)


def test_a_slower_median_on_a_noisy_machine_is_not_enough() -> None:
    quick_at_times = measured(5.0, 1, spread=0.3, noisy=True)
    assert quick_at_times.latency_ms.median > 1.15 * 5.0
    assert not is_regression(quick_at_times, measured(5.0, 2))


def test_even_the_quickest_runs_being_slower_is_enough_on_any_machine() -> None:
    assert is_regression(measured(7.0, 1, spread=0.5, noisy=True), measured(5.0, 2))


def test_the_latest_record_of_the_same_kind_counts() -> None:
    baseline = [
        measured(9.0),
        measured(5.0, 2),
        measured(1.0, num_threads=4),
        measured(1.0, device="ssh://b"),
    ]
    (change,) = changes([measured(5.0, 1, artifact="elsewhere/mobilenet_v2_int8.tflite")], baseline)
    assert change.baseline.latency_ms.median == pytest.approx(5.0, rel=0.01)


def test_a_file_that_the_baseline_lacks_is_named() -> None:
    with pytest.raises(InputError, match=r"the baseline has no new\.tflite on local, tflite, 1 threads"):
        changes([measured(5.0, artifact="new.tflite")], [measured(5.0)])


def test_another_processor_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="was measured on A processor, this is Another"):
        changes([measured(5.0, environment=Environment(cpu="Another"))], [measured(5.0)])


def test_the_samples_come_back_by_turns() -> None:
    assert turns_of(latency_record(samples_ms=(1.0, 2.0, 3.0), rounds=(2, 1))) == [(1.0, 2.0), (3.0,)]
    assert turns_of(latency_record(samples_ms=(1.0, 2.0, 3.0), rounds=())) == [(1.0, 2.0, 3.0)]
