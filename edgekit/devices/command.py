"""Any command that runs another one: ``cmd:taskset -c 1``, ``cmd:docker exec -i board``."""

from __future__ import annotations

import shlex
import sys

from edgekit.devices.local import PLACE
from edgekit.devices.shell import ShellDevice
from edgekit.errors import InputError

__all__ = ["CommandDevice", "open_"]


class CommandDevice(ShellDevice):
    """What is reached by putting ``prefix`` before a command; its standard input has to arrive there.

    Its Python is the one that runs edgekit where that exists there too, else ``python3``.
    """

    def __init__(self, name: str, prefix: list[str]) -> None:
        super().__init__(name, PLACE, (sys.executable, "python3"))
        self._prefix = prefix

    def argv(self, script: str) -> list[str]:
        return [*self._prefix, "sh", "-c", script]


def open_(name: str) -> CommandDevice:
    """The device of ``cmd:PREFIX``. Raises InputError for a prefix that is empty or not quoted rightly."""
    try:
        prefix = shlex.split(name.partition(":")[2])
    except ValueError as exc:
        raise InputError(f"device {name!r} cannot be read: {exc}") from exc
    if not prefix:
        raise InputError(f"device {name!r} was given, expected a command, as in cmd:taskset -c 1")
    return CommandDevice(name, prefix)
