"""Times of many files on a machine whose speed drifts, in one process: each file is visited in every round.

What else runs on a machine, and on its host, slows it down for seconds. So a file is visited often and
briefly, and a yardstick runs around each visit. How much files slow down when the yardstick does is the same
for all of them, and estimated from all.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random

import numpy as np

from edgekit.devices.runner.machine import choose_cpus
from edgekit.devices.runner.runtimes import RUNTIMES, Invoke
from edgekit.devices.runner.worker import take
from edgekit.measure.yardstick import Paired

__all__ = ["ROUNDS", "pinned", "unsteadiness", "usual_ms", "visit"]

ROUNDS = 12
"""How often each file is visited by default."""

_WARM_UP_RUNS = 3
_FILE_S = 0.06
_YARDSTICK_S = 0.012
_LEAST_RUNS, _MOST_RUNS = 3, 1 << 20


def visit(
    paths: Sequence[Path],
    yardstick: Path,
    num_threads: int = 1,
    rounds: int = ROUNDS,
    progress: Callable[[int, int], None] | None = None,
    also: Callable[[int], None] | None = None,
) -> list[list[Paired]]:
    """Milliseconds of the file and of the yardstick in each visit, for each of ``paths``.

    Files are loaded for each visit, in an order that changes from round to round. ``progress`` hears of
    visits done and all, ``also`` of the index of a file that was just visited. Raises what the runtime
    raises for a file that it refuses.
    """
    found: list[list[Paired]] = [[] for _ in paths]
    order, done = list(range(len(paths))), 0
    load = RUNTIMES[yardstick.suffix](num_threads)[2]
    with pinned(choose_cpus("auto", num_threads)):
        beside = load(str(yardstick))
        for round_ in range(rounds):
            Random(round_).shuffle(order)
            for index in order:
                found[index].append(_visited(load(str(paths[index])), beside))
                if also:
                    also(index)
                done += 1
                if progress:
                    progress(done, rounds * len(paths))
    return found


def usual_ms(visits: Sequence[Sequence[Paired]]) -> list[float]:
    """For each file its milliseconds while little disturbs the machine: in the yardstick's quicker quarter.

    Of a file's visits the median counts: not all files slow down alike, so the quickest are no better.
    """
    logs = [np.log([(one.file_ms, one.yardstick_ms) for one in some]) for some in visits]
    usual = float(np.percentile(np.concatenate(logs)[:, 1], 25))
    apart = np.concatenate([some - np.median(some, axis=0) for some in logs])
    slope = float(apart[:, 0] @ apart[:, 1] / max(float(apart[:, 1] @ apart[:, 1]), 1e-12))
    return [float(np.exp(np.median(some[:, 0] - slope * (some[:, 1] - usual)))) for some in logs]


def unsteadiness(visits: Sequence[Sequence[Paired]]) -> float:
    """How many times as long as in its quickest tenth the yardstick took in its slowest."""
    low, high = np.percentile([one.yardstick_ms for some in visits for one in some], [10, 90])
    return float(high / low)


@contextmanager
def pinned(cpus: Iterable[int]) -> Iterator[None]:
    """Keep this process on some processors, where the system allows it."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _visited(file: Invoke, yardstick: Invoke) -> Paired:
    for _ in range(_WARM_UP_RUNS):
        file()
    before = _median_ms(yardstick, _YARDSTICK_S)
    file_ms = _median_ms(file, _FILE_S)
    after = _median_ms(yardstick, _YARDSTICK_S)
    return Paired(file_ms, (before + after) / 2)


def _median_ms(invoke: Invoke, seconds: float) -> float:
    samples_ms: list[float] = take(invoke, _MOST_RUNS, seconds, _LEAST_RUNS)["samples_ms"]
    return statistics.median(samples_ms)
