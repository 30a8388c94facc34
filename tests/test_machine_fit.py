"""Measuring this machine's speed: on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from edgekit import machine_fit, target
from edgekit.errors import InputError, UnsupportedError
from edgekit.measure.yardstick import Paired
from edgekit.profilers import Profile
from edgekit.scaling import ScaleOptions, scale

FEW = (
    ("mobilenet_v1", ((0.25, 96), (0.5, 64))),
    ("mobilenet_v2", ((0.35, 96), (0.5, 64))),
    ("squeezenet1_1", ((0.25, 96),)),
)


def by_the_byte(
    paths: Sequence[Path],
    yardstick: Path,
    num_threads: int,
    progress: Callable[[int, int], None],
    also: Callable[[int], None],
) -> list[list[Paired]]:
    """A machine that takes a nanosecond for every byte of a file, and is sometimes half as fast."""
    progress(1, 1)
    for index in range(len(paths)):
        also(index)
    return [
        [Paired(path.stat().st_size * 1e-6 * slowness, slowness) for slowness in (1.0, 2.0, 1.0)]
        for path in paths
    ]


def no_profiler(path: Path, num_threads: int, num_runs: int) -> Profile:
    raise UnsupportedError("the runtime of this machine has no profiler")


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> target.Target:
    """``host`` with the speed of such a machine."""
    monkeypatch.setattr(machine_fit, "SPREAD", FEW)
    monkeypatch.setattr(machine_fit, "PROBES", 4)
    monkeypatch.setattr(machine_fit, "visit", by_the_byte)
    monkeypatch.setattr(machine_fit, "profile_file", no_profiler)
    return machine_fit.fit_machine("host", ["fp32"])


def test_a_search_uses_what_was_measured(
    fitted: target.Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGEKIT_CONFIG", str(tmp_path))
    target.write(tmp_path / "targets" / "host.toml", fitted)
    best = scale(ScaleOptions(["5ms"], target="host", precision="fp32")).candidates[0]
    assert best.latency_ms is not None
    assert 0.9 * 5 < best.latency_ms <= 5
    (model,) = fitted.latency
    assert model.source.startswith("measured by edgekit on ")
    assert len(model.rows) == 5
    assert model.held_out_families is not None
    assert "up to 2.00 times as long" in model.note


def test_other_machines_cannot_be_measured() -> None:
    with pytest.raises(InputError, match="only this machine"):
        machine_fit.fit_machine("pixel1")


def test_a_precision_that_the_target_does_not_take() -> None:
    with pytest.raises(UnsupportedError, match="does not take"):
        machine_fit.fit_machine("host-openvino", ["int16"])
