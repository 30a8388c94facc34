"""A device that has a POSIX shell, whatever carries its input and output there."""

from __future__ import annotations

import secrets
import shlex
from abc import abstractmethod
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from edgekit.devices.base import Device, content_key
from edgekit.devices.process import Ended, complete, stream
from edgekit.errors import DeviceError, DeviceLostError

__all__ = ["ShellDevice"]

_RECEIVE = "receive files"
_ROOT = '"${XDG_CACHE_HOME:-$HOME/.cache}/edgekit/device"'
_DISK = ("no space left", "disk quota exceeded", "read-only file system")
_FOREIGN = ("exec format error", "cannot execute binary file", "syntax error")
_KILLED = (137, -9)
_NOT_FOUND = 127
_NOT_EXECUTABLE = 126


class ShellDevice(Device):
    """Files go through the shell's standard input into a folder that is named by their content.

    ``root`` is the parent of such folders, as the shell reads it. An exit code of ``telling_codes`` is
    left to what the command printed.
    """

    root: ClassVar[str] = _ROOT
    telling_codes: ClassVar[tuple[int, ...]] = (0, 1)

    def __init__(self, name: str, place: str, pythons: Sequence[str]) -> None:
        super().__init__(name, place)
        self._pythons = tuple(pythons)
        self._python: str | None = None

    @abstractmethod
    def argv(self, script: str) -> list[str]:
        """The command on this machine that runs the shell ``script`` there."""

    def failure(self, ended: Ended, doing: str) -> DeviceError:
        """The error for what the way there or the shell reported while ``doing`` something."""
        if any(words in ended.stderr.lower() for words in _DISK):
            return DeviceError(f"{self.name} cannot {doing}: {ended.said}", hint="make space on its disk")
        if ended.code in _KILLED:
            return DeviceError(f"{self.name} killed what it was to do, as it does when its memory runs out")
        return DeviceError(f"{self.name} cannot {doing}: {ended.said} (exit code {ended.code})")

    @property
    def python(self) -> tuple[str, ...]:
        if self._python is None:
            self._python = self._find_python()
        return (self._python,)

    def push(self, files: Sequence[Path]) -> list[str]:
        folder = f"{self.root}/{content_key(files)}"
        answer = self._ask(
            f"[ -d {folder} ] && echo there; mkdir -p {self.root} && echo {folder}", "look at it"
        )
        *there, remote = answer.split("\n")
        if not there:
            self._send(files, folder)
        return [f"{remote}/{path.name}" for path in files]

    def run(self, command: Sequence[str], timeout_s: float) -> Iterator[str]:
        doing = f"run {Path(command[0]).name}"
        ended = yield from self._stream(f"exec {shlex.join(command)}", timeout_s, doing)
        if ended.code in (_NOT_FOUND, _NOT_EXECUTABLE):
            is_foreign = any(words in ended.stderr.lower() for words in _FOREIGN)
            raise DeviceError(
                f"{self.name} cannot run {command[0]}: {ended.said}",
                hint="it is for another processor: name a Python of that device's own" if is_foreign else "",
            )
        if ended.code not in self.telling_codes:
            raise self.failure(ended, doing)

    def pull(self, path: str) -> bytes:
        ended = self._complete(f"cat {shlex.quote(path)}", f"read {path}")
        return ended.stdout

    def _send(self, files: Sequence[Path], folder: str) -> None:
        """Send into a folder beside it, and give it its name when all of it is there."""
        partial = f"{folder}.{secrets.token_hex(4)}"
        for path in files:
            received, size = self._put(path, partial), path.stat().st_size
            if received != size:
                raise DeviceLostError(f"{self.name} received {received} of the {size} bytes of {path.name}")
        self._ask(f"mv {partial} {folder} 2>/dev/null || [ -d {folder} ]", _RECEIVE)

    def _put(self, path: Path, folder: str) -> int:
        """Send one file into the new ``folder``; how many bytes arrived."""
        target = f"{folder}/{shlex.quote(path.name)}"
        script = f"mkdir -p {folder} && cat > {target} && wc -c < {target}"
        ended = self._complete(f"({script}) || (rm -rf {folder}; exit 1)", _RECEIVE, path.read_bytes())
        return int(ended.stdout)

    def _find_python(self) -> str:
        for candidate in self._pythons:
            quoted = shlex.quote(candidate)
            if candidate.startswith("~/"):
                quoted = f'"$HOME"/{shlex.quote(candidate[2:])}'
            found = self._ask(f"command -v {quoted} || true", "look for Python")
            if found:
                return found
        raise DeviceError(
            f"{self.name} has no {' or '.join(self._pythons)}",
            hint="install Python 3.9 or later there, or name one that is there",
        )

    def _ask(self, script: str, doing: str) -> str:
        return self._complete(script, doing).stdout.decode(errors="replace").strip()

    def _complete(self, script: str, doing: str, content: bytes = b"") -> Ended:
        return self._finish(self.argv(script), doing, content)

    def _finish(self, argv: Sequence[str], doing: str, content: bytes = b"") -> Ended:
        """Run ``argv`` here to its end, which has to be a good one."""
        try:
            ended = complete(argv, content)
        except OSError as exc:
            raise _cannot_start(argv, exc) from exc
        if ended.code or ended.is_timeout:
            raise self.failure(ended, doing)
        return ended

    def _stream(self, script: str, timeout_s: float, doing: str) -> Generator[str, None, Ended]:
        argv = self.argv(script)
        try:
            ended = yield from stream(argv, timeout_s)
        except OSError as exc:
            raise _cannot_start(argv, exc) from exc
        if ended.is_timeout:
            raise DeviceError(f"{self.name} did not {doing} within {timeout_s:.0f} s: {ended.said}")
        return ended


def _cannot_start(argv: Sequence[str], exc: OSError) -> DeviceError:
    return DeviceError(
        f"cannot start {argv[0]}: {exc.strerror or exc}", hint=f"install {argv[0]}, or check PATH"
    )
