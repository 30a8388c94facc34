"""Commands run as a user runs them: in a process of their own, with what each cost."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

from edgekit.errors import EdgekitError

__all__ = ["Finished", "run"]

_TAIL_LINES = 15
# ru_maxrss counts kibibytes on Linux, bytes on macOS.
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Finished:
    """A command that succeeded.

    ``wall_s`` runs from before the process exists until it is gone. ``cpu_s`` sums user and system time
    of it and the children it waited for; ``peak_rss_bytes`` is the largest resident set among them.
    """

    stdout: str
    wall_s: float
    cpu_s: float
    peak_rss_bytes: int


def run(command: Sequence[str]) -> Finished:
    """Run ``command`` to its end; EdgekitError with the end of its stderr when it fails.

    Needs ``os.wait4``, so a Unix system. A child starts with its parent's resident set as its peak: keep
    what measures memory free of large packages.
    """
    with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            tail = "\n".join(_text(stderr).splitlines()[-_TAIL_LINES:])
            raise EdgekitError(f"exit code {process.returncode} of {' '.join(command)}\n{tail}")
        return Finished(
            stdout=_text(stdout),
            wall_s=wall_s,
            cpu_s=usage.ru_utime + usage.ru_stime,
            peak_rss_bytes=usage.ru_maxrss * _RSS_UNIT,
        )


def _text(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
