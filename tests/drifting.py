"""A device that is sometimes slower, and sometimes quicker."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.devices.fake import FakeDevice

__all__ = ["DriftingDevice"]


class DriftingDevice(FakeDevice):
    """Takes 10 ms times the next of ``slowness`` in each session, times the last in all that follow."""

    def __init__(self, slowness: Sequence[float]) -> None:
        super().__init__("fake:drifting", ms=10.0, noise=0.0)
        self.slowness = list(slowness)
        self.sessions = 0

    def _measure(self, artifacts, num_runs):  # type: ignore[no-untyped-def]
        self._ms = 10.0 * self.slowness[min(self.sessions, len(self.slowness) - 1)]
        self.sessions += 1
        return super()._measure(artifacts, num_runs)
