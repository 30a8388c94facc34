"""Hardware that files run on, and how to reach it: one contract of push, run and pull."""

from __future__ import annotations

import importlib
from typing import NamedTuple, cast

from edgekit.devices.base import Device, Harness
from edgekit.errors import UnknownNameError

__all__ = ["KINDS", "Device", "Harness", "Kind", "open_device"]


class Kind(NamedTuple):
    """One way to reach hardware: the module whose ``open_(name)`` does, how it is written, and what it is."""

    module: str
    form: str
    summary: str


KINDS: dict[str, Kind] = {
    "local": Kind("edgekit.devices.local", "local", "this machine"),
    "ssh": Kind(
        "edgekit.devices.ssh",
        "ssh://user@host[:port][?python=PATH]",
        "a board with Python and a runtime, by OpenSSH and its configuration",
    ),
    "adb": Kind(
        "edgekit.devices.adb",
        "adb[:SERIAL]?benchmark_model=PATH",
        "an Android device, by LiteRT's benchmark_model",
    ),
    "emulated-arm64": Kind(
        "edgekit.devices.emulated",
        "emulated-arm64[?cpu=NAME]",
        "64-bit Arm under qemu, for what files answer there; `edgekit devices setup arm64` prepares it",
    ),
    "cmd": Kind("edgekit.devices.command", "cmd:PREFIX", "whatever a command before the command reaches"),
    "fake": Kind("edgekit.devices.fake", "fake:NAME[?ms=MS]", "none: made-up samples, for trying things out"),
}
"""What a device's name begins with → how it is reached."""


def open_device(name: str) -> Device:
    """The device of that name, such as ``local`` or ``ssh://pi@board``; it is not looked for yet.

    Raises UnknownNameError for a kind that there is not, InputError for a name of another form.
    """
    kind = name.partition("?")[0].partition(":")[0]
    if kind not in KINDS:
        raise UnknownNameError("kind of device", name, [one.form for one in KINDS.values()])
    return cast(Device, importlib.import_module(KINDS[kind].module).open_(name))
