"""What every device offers: push files to it, run a command there, pull a file from it."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from edgekit.errors import InputError

__all__ = ["Device", "Harness", "content_key"]

Harness = Literal["runner", "benchmark_model"]
"""What measures there: edgekit's own runner in the device's Python, or LiteRT's tool where there is none."""

_KEY_DIGITS = 32


class Device(ABC):
    """Hardware that runs files, and how to reach it. Made by :func:`edgekit.devices.open_device`.

    ``name`` is what the user wrote, as records say it. Devices of one ``place`` share a processor, so only
    one of them may work at a time. ``emulated`` marks a processor that is imitated: its answers are real,
    its milliseconds are nobody's latency. Not safe for use by several threads at once.
    """

    harness: ClassVar[Harness] = "runner"
    emulated: ClassVar[bool] = False

    def __init__(self, name: str, place: str) -> None:
        self.name = name
        self.place = place

    @property
    @abstractmethod
    def python(self) -> tuple[str, ...]:
        """The command that runs Python there."""

    @abstractmethod
    def push(self, files: Sequence[Path]) -> list[str]:
        """Put ``files`` into one folder there, unless files of that content are there; their paths there.

        Raises DeviceError when the device cannot be reached or its disk is full, DeviceLostError when the
        connection is cut; then nothing that looks whole is left.
        """

    @abstractmethod
    def run(self, command: Sequence[str], timeout_s: float) -> Iterator[str]:
        """Run ``command`` there, yielding the lines of its stdout as they come.

        Raises DeviceError, with what it wrote to stderr, when it cannot be started or takes longer than
        ``timeout_s``, DeviceLostError when the connection is cut. A command that fails is no error when
        its last line says why, as those of the runner do.
        """

    @abstractmethod
    def pull(self, path: str) -> bytes:
        """The content of the file at ``path`` there. Raises DeviceError."""


def content_key(files: Sequence[Path]) -> str:
    """A name for files that changes with their names and content. Raises InputError for a missing one."""
    digest = hashlib.sha256()
    for path in files:
        try:
            content = path.read_bytes()
        except OSError as exc:
            raise InputError(f"cannot read {path}: {exc.strerror or exc}") from exc
        digest.update(f"{path.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()[:_KEY_DIGITS]
