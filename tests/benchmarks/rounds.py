"""Two calls timed against each other in turns, so that whatever slows the machine slows both."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Ratio", "Rounds", "in_turns", "pin_to_one_core"]

Call = Callable[[], object]
FloatArray = npt.NDArray[np.float64]

_RESAMPLES = 2000
_CONFIDENCE_PERCENT = 95


@dataclass(frozen=True)
class Ratio:
    """First over second, with the bootstrap's 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Rounds:
    """Milliseconds a call, [rounds, 2]: by the clock, and of the processor's time."""

    wall_ms: FloatArray
    cpu_ms: FloatArray

    def median_ms(self) -> tuple[float, float]:
        first, second = np.median(self.wall_ms, axis=0)
        return float(first), float(second)

    def wall_ratio(self) -> Ratio:
        return _ratio(self.wall_ms)

    def cpu_ratio(self) -> Ratio:
        """What remains comparable where other processes take the core away: they cost no processor time."""
        return _ratio(self.cpu_ms)

    def core_share(self) -> float:
        """Part of the time in which the process had its core; well below 1 when others competed for it."""
        return float(self.cpu_ms.sum() / self.wall_ms.sum())


def in_turns(first: Call, second: Call, *, rounds: int, batch: int, warmup: int) -> Rounds:
    """Time ``batch`` calls of the one, then of the other, ``rounds`` times, after ``warmup`` of each.

    Who begins alternates: first, second, second, first, and so on.
    """
    calls = (first, second)
    for call in calls:
        _time(call, warmup)
    measured = np.zeros((rounds, 2, 2))
    for index in range(rounds):
        order = (0, 1) if index % 2 == 0 else (1, 0)
        for side in order:
            measured[index, side] = _time(calls[side], batch)
    return Rounds(measured[:, :, 0], measured[:, :, 1])


def pin_to_one_core() -> None:
    """Keep this process, and the threads it starts from now on, on one core where the system can."""
    if sys.platform == "linux":
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _time(call: Call, count: int) -> tuple[float, float]:
    """Milliseconds a call: wall and processor time, of all threads of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        call()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return 1e3 * wall / count, 1e3 * cpu / count


def _ratio(times_ms: FloatArray) -> Ratio:
    """Of the medians; rounds are drawn as pairs, because both sides of one share its disturbances."""
    drawn = np.random.default_rng(0).integers(len(times_ms), size=(_RESAMPLES, len(times_ms)))
    resampled = np.median(times_ms[drawn], axis=1)
    tail = (100 - _CONFIDENCE_PERCENT) / 2
    low, high = np.percentile(resampled[:, 0] / resampled[:, 1], [tail, 100 - tail])
    first, second = np.median(times_ms, axis=0)
    return Ratio(float(first / second), float(low), float(high))
