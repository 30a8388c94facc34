"""A 64-bit Arm processor, emulated by qemu: what files answer there is real, what it takes is not."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import parse_qsl

from edgekit.devices.local import LocalDevice
from edgekit.errors import DeviceError, InputError
from edgekit.resources import cache_folder

__all__ = ["CPU", "LEAST_QEMU", "QEMU_IN_PACKAGE", "EmulatedDevice", "find_qemu", "open_", "root_folder"]

CPU = "cortex-a76"
"""The processor that is emulated unless another is asked for: a Raspberry Pi 5's, with dot products."""

LEAST_QEMU = 8
"""Older ones end with a segmentation fault inside the runtimes."""

QEMU_IN_PACKAGE = "usr/bin/qemu-aarch64"
"""Where the program lies in Debian's package."""

_PLACE = "emulated arm64"
_NAME = "emulated-arm64"
_PROGRAMS = ("qemu-aarch64", "qemu-aarch64-static")
_SETUP = "`edgekit devices setup arm64` prepares it"


class EmulatedDevice(LocalDevice):
    """Python and the runtimes of 64-bit Arm in a folder, run by qemu on this machine.

    Files are where they are; times of this device are never anybody's latency.
    """

    emulated = True

    def __init__(self, name: str, cpu: str = CPU) -> None:
        super().__init__(name, _PLACE)
        self._cpu = cpu

    @property
    def python(self) -> tuple[str, ...]:
        folder = root_folder()
        interpreter = next((folder / "root" / "usr" / "bin").glob("python3.[0-9]*"), None)
        if interpreter is None:
            raise DeviceError(f"{self.name} is not set up: {folder} has no Python", hint=_SETUP)
        qemu = find_qemu()
        if qemu is None:
            raise DeviceError(f"{self.name} needs qemu {LEAST_QEMU} or newer", hint=_SETUP)
        known = _said(qemu, "-cpu", "help").split()
        if self._cpu not in known:
            raise InputError(
                f"qemu knows no processor {self._cpu!r}", hint="try cortex-a53, cortex-a72 or cortex-a76"
            )
        flags = ("-cpu", self._cpu, "-L", str(folder / "root"), "-E", f"PYTHONPATH={folder / 'packages'}")
        return (str(qemu), *flags, str(interpreter))


def open_(name: str) -> EmulatedDevice:
    """The device of ``emulated-arm64[?cpu=NAME]``. Raises InputError for a name of another form."""
    base, _, query = name.partition("?")
    settings = dict(parse_qsl(query, keep_blank_values=True))
    cpu = settings.pop("cpu", CPU)
    if base != _NAME or settings or not cpu:
        raise InputError(f"device {name!r} was given, expected {_NAME}[?cpu=NAME]")
    return EmulatedDevice(name, cpu)


def root_folder() -> Path:
    """Where the emulated root, the packages and qemu lie. It may not exist yet."""
    return cache_folder() / "arm64"


def find_qemu() -> Path | None:
    """qemu's user emulator for 64-bit Arm: the one set up, else the system's if it is new enough."""
    own = root_folder() / "qemu" / QEMU_IN_PACKAGE
    candidates = [own, *(Path(found) for program in _PROGRAMS if (found := shutil.which(program)))]
    return next((path for path in candidates if _version(path) >= LEAST_QEMU), None)


def _version(program: Path) -> int:
    """The major version, or 0 for what does not run."""
    found = re.search(r"version (\d+)", _said(program, "--version"))
    return int(found[1]) if found else 0


def _said(program: Path, *arguments: str) -> str:
    try:
        return subprocess.run([program, *arguments], capture_output=True, text=True, check=False).stdout
    except OSError:
        return ""
