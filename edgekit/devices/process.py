"""A command whose lines are read as they come, and which is not left running behind."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

__all__ = ["Ended", "complete", "stream"]

_GRACE_S = 5.0
_SAID_CHARACTERS = 4000


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code, what it wrote to stderr, and whether it was given up on."""

    code: int
    stderr: str
    is_timeout: bool = False
    stdout: bytes = b""

    @property
    def said(self) -> str:
        """The last line of stderr, which usually has the reason."""
        lines = [line.strip() for line in self.stderr.splitlines() if line.strip()]
        return lines[-1] if lines else "it said nothing"


def stream(argv: Sequence[str], timeout_s: float) -> Generator[str, None, Ended]:
    """Start ``argv`` and yield the lines of its stdout; returns how it ended.

    It is killed after ``timeout_s``, and when the generator is closed early. Raises OSError when the
    program cannot be started.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
        timed_out = threading.Event()
        timer = threading.Timer(timeout_s, _give_up, (process, timed_out))
        timer.daemon = True
        timer.start()
        try:
            assert process.stdout
            for line in process.stdout:
                yield line.decode(errors="replace").rstrip("\r\n")
            code = process.wait()
        finally:
            timer.cancel()
            _end(process)
        return Ended(code, _tail(errors), timed_out.is_set())


def complete(argv: Sequence[str], content: bytes = b"", timeout_s: float = 600.0) -> Ended:
    """Run ``argv`` with ``content`` as its stdin, to its end. Raises OSError when it cannot be started."""
    try:
        done = subprocess.run(argv, input=content, capture_output=True, check=False, timeout=timeout_s)
    except subprocess.TimeoutExpired as exc:
        return Ended(-1, (exc.stderr or b"").decode(errors="replace"), is_timeout=True)
    return Ended(done.returncode, done.stderr.decode(errors="replace"), stdout=done.stdout)


def _give_up(process: subprocess.Popen[bytes], timed_out: threading.Event) -> None:
    timed_out.set()
    process.kill()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


def _tail(errors: IO[bytes]) -> str:
    size = errors.seek(0, 2)
    errors.seek(max(0, size - _SAID_CHARACTERS))
    return errors.read().decode(errors="replace")
