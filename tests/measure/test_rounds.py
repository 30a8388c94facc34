"""Timing many files in rounds: what slows the machine down is told from what files take."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from edgekit.measure import rounds
from edgekit.measure.rounds import unsteadiness, usual_ms, visit
from edgekit.measure.yardstick import Paired
from small_models import save_onnx

TRUE_MS = (0.5, 3.0, 20.0)


def visits(slope: float, disturbed: float = 0.0) -> list[list[Paired]]:
    """What is seen of files that slow down with the ``slope``-th power of the yardstick."""
    rng = random.Random(0)
    found: list[list[Paired]] = [[] for _ in TRUE_MS]
    for _ in range(12):
        for some, true_ms in zip(found, TRUE_MS, strict=True):
            slowness = rng.choice((1.0, 1.0, 1.0, 1.4, 1.9))
            more = 1.5 if rng.random() < disturbed else 1.0
            some.append(Paired(true_ms * more * slowness**slope, slowness))
    return found


@pytest.mark.parametrize("slope", [0.0, 0.6, 1.0])
def test_slow_moments_are_divided_out_as_far_as_they_slow_files_down(slope: float) -> None:
    assert usual_ms(visits(slope)) == pytest.approx(TRUE_MS, rel=0.01)


def test_what_disturbs_only_the_file_does_not_count() -> None:
    assert usual_ms(visits(0.6, disturbed=0.3)) == pytest.approx(TRUE_MS, rel=0.03)


def test_a_steady_yardstick_changes_nothing() -> None:
    assert usual_ms([[Paired(2.0, 1.0)] * 3, [Paired(5.0, 1.0)] * 3]) == pytest.approx([2.0, 5.0])


def test_a_machine_that_changes_its_speed_is_told_from_a_steady_one() -> None:
    assert unsteadiness(visits(1.0)) == pytest.approx(1.9)
    assert unsteadiness([[Paired(2.0, 1.0)] * 9]) == 1


def test_every_file_is_visited_in_every_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "_FILE_S", 0.002)
    monkeypatch.setattr(rounds, "_YARDSTICK_S", 0.002)
    path = save_onnx(tmp_path / "model.onnx")
    cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    told: list[tuple[int, int]] = []
    visited: list[int] = []
    found = visit(
        [path, path],
        path,
        rounds=3,
        progress=lambda done, of: told.append((done, of)),
        also=visited.append,
    )
    assert sorted(visited) == [0, 0, 0, 1, 1, 1]
    assert [len(some) for some in found] == [3, 3]
    assert told == [(done, 6) for done in range(1, 7)]
    assert all(0 < one.file_ms < 100 and 0 < one.yardstick_ms < 100 for some in found for one in some)
    assert not cpus or os.sched_getaffinity(0) == cpus
