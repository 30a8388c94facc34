"""Timing a file: the quickest round, again until two agree, and the right order of magnitude."""

from __future__ import annotations

from pathlib import Path

import pytest

from drifting import DriftingDevice
from edgekit.devices.fake import FakeDevice
from edgekit.errors import ModelFileError
from edgekit.measure import timing
from edgekit.measure.timing import time_file
from small_models import save_onnx


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_onnx(tmp_path / "model.onnx")


def test_a_steady_device_is_measured_exactly_and_once(model: Path) -> None:
    device = DriftingDevice([1.0])
    assert time_file(model, device=device).median_ms == pytest.approx(10.0)
    assert device.sessions == 1


def test_a_busy_machine_does_not_count(model: Path) -> None:
    device = FakeDevice("fake:loud", ms=10.0, noise=0.5)
    found = time_file(model, device=device)
    assert 10.0 <= found.median_ms < 15.0


def test_this_machine_runs_the_file(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "_SECONDS", 0.2)
    found = time_file(model)
    assert 0.001 < found.median_ms < 100
    assert len(found.samples_ms) >= 10


def test_what_is_not_a_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="is not a file"):
        time_file(tmp_path / "none.tflite")
