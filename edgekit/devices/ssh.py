"""A board that OpenSSH reaches, with the user's own configuration, keys and known hosts."""

from __future__ import annotations

import sys
import tempfile
from functools import cache
from urllib.parse import parse_qs, urlsplit

from edgekit.devices.process import Ended
from edgekit.devices.shell import ShellDevice
from edgekit.errors import DeviceError, DeviceLostError, InputError

__all__ = ["SshDevice", "open_"]

_SSH_FAILED = 255
_FORM = "ssh://user@host[:port][?python=PATH]"

# Only what makes a dead connection be noticed, and a question not hang a long run; who is trusted, and by
# which key, stays what the user's configuration says.
_OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": "15",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
}

_UNREACHABLE = (
    "could not resolve hostname",
    "connection refused",
    "connection timed out",
    "no route to host",
    "network is unreachable",
    "operation timed out",
)
_HOST_KEY = ("host key verification failed", "remote host identification has changed")
_NO_ENTRY = ("permission denied (", "too many authentication failures")


class SshDevice(ShellDevice):
    """One board. ``destination`` is what ``ssh`` is given, such as ``pi@board``."""

    def __init__(self, name: str, destination: str, port: int | None, python: str) -> None:
        super().__init__(name, f"{destination}:{port or ''}", (python,))
        self._destination = destination
        self._port = port

    def argv(self, script: str) -> list[str]:
        options = [word for key, value in _OPTIONS.items() for word in ("-o", f"{key}={value}")]
        port = ["-p", str(self._port)] if self._port else []
        command = f"sh -c {_quoted(script)}"
        return ["ssh", "-T", *options, *_sharing(), *port, "--", self._destination, command]

    def failure(self, ended: Ended, doing: str) -> DeviceError:
        said = ended.stderr.lower()
        if any(words in said for words in _HOST_KEY):
            return DeviceError(
                f"{self.name} shows another host key than the known one, or none is known: {ended.said}",
                hint=f"find out why; a board that is new to this machine is made known by "
                f"`{' '.join(['ssh', *self._by_hand()])}`",
            )
        if any(words in said for words in _NO_ENTRY):
            return DeviceError(
                f"{self.name} does not let {self._destination} in: {ended.said}",
                hint=f"keys are needed, since nobody is asked for a password: "
                f"`{' '.join(['ssh-copy-id', *self._by_hand()])}`",
            )
        if ended.code == _SSH_FAILED and any(words in said for words in _UNREACHABLE):
            return DeviceError(
                f"{self.name} cannot be reached: {ended.said}", hint="is it on, and are name and port right?"
            )
        if ended.code == _SSH_FAILED:
            return DeviceLostError(f"the connection to {self.name} was cut: {ended.said}")
        return super().failure(ended, doing)

    def _by_hand(self) -> list[str]:
        return [*(["-p", str(self._port)] if self._port else []), self._destination]


def open_(name: str) -> SshDevice:
    """The board at ``ssh://user@host[:port][?python=PATH]``. Raises InputError for another form."""
    try:
        parts = urlsplit(name)
        port = parts.port
    except ValueError as exc:
        raise InputError(f"device {name!r} is not {_FORM}: {exc}") from exc
    extra = parse_qs(parts.query)
    if not parts.hostname or parts.path.strip("/") or parts.password or set(extra) - {"python"}:
        raise InputError(
            f"device {name!r} was given, expected {_FORM}", hint="passwords belong into ssh-agent"
        )
    if parts.hostname.startswith("-") or (parts.username or "").startswith("-"):
        raise InputError(f"device {name!r} was given, whose host or user would be an option of ssh")
    # From the text, because urlsplit makes the host's name lower case, and ~/.ssh/config tells cases apart.
    destination = parts.netloc.rpartition(":")[0] if port is not None else parts.netloc.rstrip(":")
    return SshDevice(name, destination, port, extra.get("python", ["python3"])[0])


def _sharing() -> list[str]:
    """Options that make the commands of one measurement share a connection, where OpenSSH can."""
    if sys.platform == "win32":
        return []
    words = {"ControlMaster": "auto", "ControlPath": f"{_sockets().name}/%C", "ControlPersist": "20"}
    return [word for key, value in words.items() for word in ("-o", f"{key}={value}")]


@cache
def _sockets() -> tempfile.TemporaryDirectory[str]:
    """A folder for the shared connections' sockets, of this process alone, removed when it ends."""
    return tempfile.TemporaryDirectory(prefix="edgekit-ssh-", ignore_cleanup_errors=True)


def _quoted(script: str) -> str:
    return "'" + script.replace("'", "'\"'\"'") + "'"
