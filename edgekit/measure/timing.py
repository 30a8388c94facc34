"""How long one inference of a file takes on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit import runtimes

__all__ = ["Timing", "time_file"]

_WARM_UP_SECONDS = 0.3
_WARM_UP_RUNS = 5
_ROUND_SECONDS = 0.5
_ROUND_RUNS = 15
_LEAST_ROUNDS = 3
_MOST_ROUNDS = 10
_AGREEMENT = 1.03
_MOST_SECONDS = 10.0


@dataclass(frozen=True)
class Timing:
    """Samples of one inference in milliseconds, in the order they were taken, warm-up excluded."""

    samples_ms: tuple[float, ...]

    @property
    def median_ms(self) -> float:
        return statistics.median(self.samples_ms)


def time_file(path: Path, num_threads: int = 1) -> Timing:
    """Time inferences of the file at ``path`` on this machine's CPU, its input fed and its output read.

    After a warm-up, rounds of at least 15 runs and 0.5 s each: three, then more until the quickest two
    agree within 3 %, at most ten. The quickest round counts, because whatever else the machine does only
    ever adds time. Raises ModelFileError for a file that cannot be loaded.
    """
    run = _runner(path, num_threads)
    _repeat(run, _WARM_UP_RUNS, _WARM_UP_SECONDS)
    rounds: list[Timing] = []
    while len(rounds) < _MOST_ROUNDS and not _agree(rounds):
        rounds.append(Timing(_repeat(run, _ROUND_RUNS, _ROUND_SECONDS)))
    return min(rounds, key=lambda one: one.median_ms)


def _agree(rounds: list[Timing]) -> bool:
    medians = sorted(one.median_ms for one in rounds)
    return len(medians) >= _LEAST_ROUNDS and medians[1] <= _AGREEMENT * medians[0]


def _runner(path: Path, num_threads: int) -> Callable[[], object]:
    runner = runtimes.load(path, num_threads)
    port = runner.input
    generator = np.random.default_rng(0)
    shape = tuple(max(size, 1) for size in port.shape)
    if np.issubdtype(np.dtype(port.dtype), np.integer):
        limits = np.iinfo(port.dtype)
        image = generator.integers(limits.min, limits.max, shape, dtype=port.dtype, endpoint=True)
    else:
        image = generator.standard_normal(shape).astype(port.dtype)
    return lambda: runner.run(image)


def _repeat(run: Callable[[], object], least_runs: int, seconds: float) -> tuple[float, ...]:
    """Milliseconds of single runs: as many as asked and as long, but no longer than 10 s."""
    samples: list[float] = []
    started = time.perf_counter()
    while True:
        before = time.perf_counter()
        run()
        now = time.perf_counter()
        samples.append((now - before) * 1e3)
        is_enough = len(samples) >= least_runs and now - started >= seconds
        if is_enough or now - started >= _MOST_SECONDS:
            return tuple(samples)
