"""How long one inference of a file takes on this machine at its quickest, for searches that measure a lot."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.devices import Device, open_device
from edgekit.measure.session import Protocol, measure

__all__ = ["Timing", "time_file"]

_SECONDS = 1.8
_TURNS_OF_ROUND = 3
_LEAST_ROUNDS = 3
_MOST_SESSIONS = 4
_AGREEMENT = 1.03


@dataclass(frozen=True)
class Timing:
    """Samples of one inference in milliseconds, in the order they were taken, warm-up excluded."""

    samples_ms: tuple[float, ...]

    @property
    def median_ms(self) -> float:
        return statistics.median(self.samples_ms)


def time_file(path: Path, num_threads: int = 1, device: Device | None = None) -> Timing:
    """Time inferences of the file at ``path`` on this machine's CPU, or on ``device``.

    Sessions of 1.8 s, each in rounds of 0.6 s: one, then more until the quickest two rounds agree within
    3 %, at most four. The quickest round counts, because whatever else the machine does only ever adds
    time. Raises ModelFileError for a file that cannot be loaded.
    """
    protocol = Protocol(num_threads=num_threads, seconds=_SECONDS)
    rounds: list[Timing] = []
    for _ in range(_MOST_SESSIONS):
        (found,) = measure(device or open_device("local"), [path], protocol)
        rounds += _rounds(found.turns)
        if _agree(rounds):
            break
    return min(rounds, key=lambda one: one.median_ms)


def _rounds(turns: Sequence[tuple[float, ...]]) -> list[Timing]:
    starts = range(0, len(turns), _TURNS_OF_ROUND)
    return [Timing(sum(turns[start : start + _TURNS_OF_ROUND], ())) for start in starts]


def _agree(rounds: Sequence[Timing]) -> bool:
    medians = sorted(one.median_ms for one in rounds)
    return len(medians) >= _LEAST_ROUNDS and medians[1] <= _AGREEMENT * medians[0]
