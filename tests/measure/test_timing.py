"""Timing a file: enough samples, the quickest round, and the right order of magnitude."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit.errors import ModelFileError
from edgekit.measure import timing
from edgekit.measure.timing import Timing, time_file


class Clock:
    """Time that only the device under test spends."""

    def __init__(self, costs_ms: Iterator[float]) -> None:
        self.now = 0.0
        self.costs_ms = costs_ms

    def run(self) -> None:
        self.now += next(self.costs_ms) * 1e-3


def measure(monkeypatch: pytest.MonkeyPatch, costs_ms: Iterator[float]) -> Timing:
    clock = Clock(costs_ms)
    monkeypatch.setattr(timing, "_runner", lambda path, num_threads: clock.run)
    monkeypatch.setattr(time, "perf_counter", lambda: clock.now)
    return time_file(Path("any.tflite"))


def forever(value: float) -> Iterator[float]:
    while True:
        yield value


def test_a_steady_device_is_measured_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measure(monkeypatch, forever(10.0))
    assert found.median_ms == pytest.approx(10.0)
    assert len(found.samples_ms) >= 15


def test_warm_up_and_a_busy_machine_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def costs() -> Iterator[float]:
        yield from (500.0, 100.0, 50.0)  # the first runs load and allocate
        for busy in (60.0, 50.0, 45.0, 40.0, 36.0):
            yield from (busy for _ in range(14))
        yield from forever(12.0)

    assert measure(monkeypatch, costs()).median_ms == pytest.approx(12.0)


def test_a_slow_device_is_not_run_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    found = measure(monkeypatch, forever(4000.0))
    assert found.median_ms == pytest.approx(4000.0)
    assert len(found.samples_ms) <= 3


def test_what_is_not_a_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="is not a file"):
        time_file(tmp_path / "none.tflite")
