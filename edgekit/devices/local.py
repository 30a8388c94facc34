"""This machine: files are where they are, and commands are its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgekit.devices.base import Device, content_key
from edgekit.devices.process import stream
from edgekit.errors import DeviceError

__all__ = ["PLACE", "LocalDevice", "open_"]

PLACE = "this machine"


class LocalDevice(Device):
    """This machine, with the Python that runs edgekit."""

    @property
    def python(self) -> tuple[str, ...]:
        return (sys.executable,)

    def push(self, files: Sequence[Path]) -> list[str]:
        content_key(files)  # so that a missing file is the same error as on other devices
        return [str(path.absolute()) for path in files]

    def run(self, command: Sequence[str], timeout_s: float) -> Iterator[str]:
        try:
            ended = yield from stream(command, timeout_s)
        except OSError as exc:
            raise DeviceError(f"cannot start {command[0]}: {exc.strerror or exc}") from exc
        if ended.is_timeout:
            raise DeviceError(f"{self.name} did not finish within {timeout_s:.0f} s: {ended.said}")
        if ended.code not in (0, 1):
            raise DeviceError(f"{Path(command[0]).name} on {self.name} ended with {ended.code}: {ended.said}")

    def pull(self, path: str) -> bytes:
        try:
            return Path(path).read_bytes()
        except OSError as exc:
            raise DeviceError(f"cannot read {path}: {exc.strerror or exc}") from exc


def open_(name: str) -> LocalDevice:
    """This machine, whatever ``name`` calls it."""
    return LocalDevice(name, PLACE)
