"""A results file while it grows: whole lines only, on the disk before the next, one writer at a time."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from edgekit.errors import OutputError
from edgekit.measure import record
from edgekit.measure.record import Record

__all__ = ["Appender", "append", "appending"]

_WAIT_S = 10.0
_POLL_S = 0.05
_LOCK_OFFSET = 1 << 62  # Windows locks bytes against reading too, so one that no file has


class Appender:
    """Adds records to one file, which no other process can do meanwhile; made by :func:`appending`."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path = path
        self._file = file

    def add(self, *records: Record) -> None:
        """Write ``records``, and return when they are on the disk. Raises OutputError; then none is there."""
        start = self._file.seek(0, os.SEEK_END)
        try:
            self._file.write(b"".join(record.encode(one) for one in records))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as exc:
            with suppress(OSError):
                self._file.truncate(start)
            raise _cannot_write(self.path, exc) from exc


@contextmanager
def appending(path: Path, wait_s: float | None = None) -> Iterator[Appender]:
    """Open ``path``, created if it is missing, for adding records; its other writers wait.

    Waits ``wait_s`` seconds, by default ten, for another writer to finish. A last line that was cut short
    is taken away, since it was never a record. Raises OutputError when the file cannot be written or stays
    in use, and InputError when it holds something other than records, which is left as it is.
    """
    if path.exists():
        record.read(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "a+b")  # noqa: SIM115 closed below, errors of opening are told apart
    except OSError as exc:
        raise _cannot_write(path, exc) from exc
    with file:
        _lock(path, file, _WAIT_S if wait_s is None else wait_s)
        _mend_end(file)
        yield Appender(path, file)


def append(path: Path, *records: Record) -> None:
    """Add ``records`` to the file at ``path``. Raises OutputError and InputError as :func:`appending`."""
    with appending(path) as appender:
        appender.add(*records)


def _mend_end(file: IO[bytes]) -> None:
    file.seek(0)
    content = file.read()
    if not content or content.endswith(b"\n"):
        return
    start = content.rfind(b"\n") + 1
    if record.is_whole(content[start:]):
        file.write(b"\n")
        file.flush()
    else:
        file.truncate(start)


def _lock(path: Path, file: IO[bytes], wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    while not _try_lock(file):
        if time.monotonic() >= deadline:
            raise OutputError(
                f"{path} is being written by another process",
                hint="wait until that one has finished, or choose another file",
            )
        time.sleep(_POLL_S)


def _try_lock(file: IO[bytes]) -> bool:
    """Lock the file until it is closed; the system lets go of it when a process dies."""
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_LOCK_OFFSET)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _cannot_write(path: Path, exc: OSError) -> OutputError:
    return OutputError(
        f"cannot write {path}: {exc.strerror or exc}", hint="choose a file that you may write to"
    )
