"""Times of many files on a machine whose speed drifts: each is taken in turns with the same yardstick.

Other work on a machine, and other guests of its host, slow it down for seconds or minutes. A file that is
timed alone then looks slower than another that was timed before; in a burst of a higher clock it looks
quicker. Where the yardstick does not take what it usually does, the turns beside it do not count; what it
still drifts is divided out.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from pathlib import Path

from edgekit.devices import Device, open_device
from edgekit.measure.session import Protocol, measure

__all__ = ["Paired", "Yardstick"]

_SECONDS = 1.0
_MOST_SESSIONS = 5
_NEAR = 0.05
_ENOUGH_TURNS = 4


@dataclass(frozen=True)
class Paired:
    """Milliseconds of one inference, of a file and of the yardstick in the same turns."""

    file_ms: float
    yardstick_ms: float


class Yardstick:
    """A small file, the yardstick, that runs in turns with every file that is timed.

    ``device`` is this machine by default.
    """

    def __init__(self, path: Path, num_threads: int = 1, device: Device | None = None) -> None:
        self._path = path
        self._device = device or open_device("local")
        self._protocol = Protocol(num_threads=num_threads, seconds=_SECONDS)
        self._turns_ms: list[float] = []

    def time(self, path: Path) -> Paired:
        """Time the file at ``path``: medians of at least four usual turns.

        Sessions of 1 s for each of the two go on until there are as many, at most five; then the
        most usual turns count. Raises ModelFileError for a file that cannot be loaded.
        """
        turns: list[Paired] = []
        usual: list[Paired] = []
        for _ in range(_MOST_SESSIONS):
            file, yardstick = measure(self._device, [path, self._path], self._protocol)
            pairs = zip(file.turns, yardstick.turns, strict=True)
            found = [Paired(statistics.median(one), statistics.median(other)) for one, other in pairs]
            self._turns_ms += [turn.yardstick_ms for turn in found]
            turns += found
            turns.sort(key=self._strangeness)
            usual = [turn for turn in turns if self._strangeness(turn) <= _NEAR]
            if len(usual) >= _ENOUGH_TURNS:
                break
        else:
            usual = turns[:_ENOUGH_TURNS]
        return Paired(
            statistics.median(turn.file_ms for turn in usual),
            statistics.median(turn.yardstick_ms for turn in usual),
        )

    @property
    def usual_ms(self) -> float:
        """What the yardstick takes when little disturbs it: the lower quartile of all its turns."""
        return sorted(self._turns_ms)[len(self._turns_ms) // 4]

    def _strangeness(self, turn: Paired) -> float:
        return abs(turn.yardstick_ms / self.usual_ms - 1)

    def corrected_ms(self, paired: Paired) -> float:
        """What the file would have taken had the yardstick taken what it usually does."""
        return paired.file_ms * self.usual_ms / paired.yardstick_ms
