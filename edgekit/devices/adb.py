"""An Android device, by the Android Debug Bridge and LiteRT's ``benchmark_model``."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs

from edgekit.devices.base import Harness
from edgekit.devices.process import Ended
from edgekit.devices.shell import ShellDevice
from edgekit.errors import DeviceError, DeviceLostError, InputError

__all__ = ["TOOL_VARIABLE", "AdbDevice", "open_"]

TOOL_VARIABLE = "EDGEKIT_BENCHMARK_MODEL"
"""Environment variable with the path of ``benchmark_model``, for names that do not say it."""

_FORM = "adb[:SERIAL]?benchmark_model=PATH"
_ABSENT = ("no devices/emulators found", "not found", "more than one device", "unauthorized")
_LOST = ("device offline", "error: closed", "protocol fault", "connection reset", "device still connecting")
_FOREIGN = ("not executable", "exec format error", "cannot link executable", "syntax error")
_DISK = ("no space left", "read-only file system")


class AdbDevice(ShellDevice):
    """One phone. ``tool`` is LiteRT's ``benchmark_model`` for its processor, on this machine."""

    harness: ClassVar[Harness] = "benchmark_model"
    root: ClassVar[str] = "/data/local/tmp/edgekit"
    telling_codes: ClassVar[tuple[int, ...]] = (0,)

    def __init__(self, name: str, serial: str | None, tool: Path) -> None:
        super().__init__(name, f"adb:{serial or ''}", ())
        self._serial = serial
        self.tool = tool

    @property
    def python(self) -> tuple[str, ...]:
        raise DeviceError(f"{self.name} has no Python, it runs LiteRT's benchmark_model")

    def argv(self, script: str) -> list[str]:
        return [*self._adb(), "shell", script]

    def failure(self, ended: Ended, doing: str) -> DeviceError:
        said = f"{ended.stderr}\n{ended.stdout.decode(errors='replace')}".lower()
        if any(words in said for words in _LOST):
            return DeviceLostError(f"the connection to {self.name} was cut: {ended.said}")
        if any(words in said for words in _FOREIGN):
            return DeviceError(
                f"{self.name} cannot {doing}, which is for another processor: {ended.said}",
                hint="take the benchmark_model of the device's processor, mostly android_aarch64",
            )
        if any(words in said for words in _DISK):
            return DeviceError(f"{self.name} cannot {doing}: {ended.said}", hint="make space on its disk")
        if said.startswith(("error:", "adb:")) and any(words in said for words in _ABSENT):
            return DeviceError(
                f"{self.name} cannot be reached: {ended.said}",
                hint="`adb devices` lists those that are connected; the phone has to allow USB debugging",
            )
        return super().failure(ended, doing)

    def _put(self, path: Path, folder: str) -> int:
        self._ask(f"mkdir -p {folder}", "receive files")
        target = f"{folder}/{path.name}"
        self._finish([*self._adb(), "push", str(path), target], "receive files")
        return int(
            self._ask(f"chmod 755 {shlex.quote(target)}; wc -c < {shlex.quote(target)}", "receive files")
        )

    def _adb(self) -> list[str]:
        return ["adb", *(["-s", self._serial] if self._serial else [])]


def open_(name: str) -> AdbDevice:
    """The phone of ``adb[:SERIAL]?benchmark_model=PATH``. Raises InputError without the tool's path."""
    address, _, query = name.partition("?")
    extra = parse_qs(query)
    tool = extra.get("benchmark_model", [os.environ.get(TOOL_VARIABLE, "")])[0]
    if set(extra) - {"benchmark_model"}:
        raise InputError(f"device {name!r} was given, expected {_FORM}")
    if not tool or not Path(tool).is_file():
        raise InputError(
            f"device {name!r} needs LiteRT's benchmark_model, {tool or 'no path'} was given",
            hint=f"write it as {_FORM}, or set {TOOL_VARIABLE}",
        )
    return AdbDevice(name, address.partition(":")[2] or None, Path(tool))
