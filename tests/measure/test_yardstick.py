"""Timing beside a yardstick: slow minutes are told from slow files."""

from __future__ import annotations

from pathlib import Path

import pytest

from drifting import DriftingDevice
from edgekit.measure import yardstick
from edgekit.measure.yardstick import Yardstick
from small_models import save_onnx


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_onnx(tmp_path / "model.onnx")


def test_a_quiet_machine_is_measured_once(model: Path) -> None:
    device = DriftingDevice([1.0])
    found = Yardstick(model, device=device).time(model)
    assert (found.file_ms, found.yardstick_ms) == pytest.approx((10.0, 10.0))
    assert device.sessions == 1


def test_what_is_measured_in_a_slow_minute_is_measured_again(model: Path) -> None:
    device = DriftingDevice([1.0, 1.4, 1.4, 1.0])
    timer = Yardstick(model, device=device)
    timer.time(model)
    assert timer.time(model).file_ms == pytest.approx(10.0)
    assert device.sessions == 4


def test_a_burst_of_a_higher_clock_does_not_count(model: Path) -> None:
    device = DriftingDevice([1.0, 1.0, 1.0, 1.0, 0.7, 1.0])
    timer = Yardstick(model, device=device)
    for _ in range(4):
        timer.time(model)
    assert timer.time(model).file_ms == pytest.approx(10.0)
    assert device.sessions == 6


def test_a_minute_that_stays_slow_is_divided_out(model: Path) -> None:
    device = DriftingDevice([1.0, 1.0, 1.4])
    timer = Yardstick(model, device=device)
    timer.time(model)
    timer.time(model)
    slow = timer.time(model)
    assert slow.file_ms == pytest.approx(14.0)
    assert timer.corrected_ms(slow) == pytest.approx(10.0)


def test_this_machine_runs_both(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yardstick, "_SECONDS", 0.2)
    timer = Yardstick(model)
    found = timer.time(model)
    assert 0.001 < found.file_ms < 100
    assert 0.5 < found.file_ms / found.yardstick_ms < 2
