"""``edgekit devices``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgekit.cli import console, devices_answers, devices_setup
from edgekit.cli.arguments import Json
from edgekit.cli.console import Column
from edgekit.devices import KINDS, open_device

__all__ = ["app"]

app = console.new_app()


@app.callback()
def _devices() -> None:
    """Where files can be run: this machine, boards by ssh, phones by adb, or any command."""


@app.command("list")
def _list(json: Json = False) -> None:
    """The kinds of devices, and how each is written."""
    if json:
        kinds = [{"kind": name, "form": one.form, "summary": one.summary} for name, one in KINDS.items()]
        console.print_json({"devices": kinds})
        return
    console.print_table(
        (Column("device"), Column("what it is")), [(one.form, one.summary) for one in KINDS.values()]
    )


@app.command("check")
def _check(
    name: Annotated[str, typer.Argument(metavar="D", help="A device, such as ssh://pi@board.")],
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE]...", help="Files that have to answer there as here."),
    ] = None,
    json: Json = False,
) -> None:
    """Reach a device, and say what it is and which runtimes it has, or whether files answer there as here.

    Integer outputs have to be identical, floats equal to 1e-4 of the largest.
    """
    if files:
        devices_answers.show(open_device(name), files, json)
        return
    from edgekit.measure.session import check  # brings what measures, which the list does without

    found = {"device": name, **check(open_device(name))}
    if json:
        console.print_json(found)
    else:
        console.print_fields(_fields(found))


@app.command("setup")
def _setup(
    what: Annotated[str, typer.Argument(metavar="arm64", help="What to prepare.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    json: Json = False,
) -> None:
    """Prepare the emulated 64-bit Arm device in edgekit's cache, without rights or changes to the system."""
    devices_setup.run(what, dry_run, json)


def _fields(found: dict[str, Any]) -> dict[str, object]:
    machine, state, packages = found["machine"], found["state"], found["packages"]
    known = [f"{name} {version}" for name, version in packages.items() if version]
    return {
        "device": found["device"],
        "machine": f"{machine['cpu'] or machine['machine']}, {machine['cores']} cores, {machine['os']}",
        "python": machine["python"],
        "runtimes": ", ".join(known) or "none",
        "memory": f"{_gigabytes(found['free_memory_bytes'])} free of {_gigabytes(machine['memory_bytes'])}",
        "disk": f"{_gigabytes(found['free_disk_bytes'])} free",
        "clock": _with_unit(state["clock_mhz"], "MHz"),
        "temperature": _with_unit(state["temperature_c"], "°C"),
        "load": _with_unit(state["load"], ""),
        "held back": ", ".join(state["throttled"] or ()) or "no",
    }


def _gigabytes(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 1e9:.1f} GB"


def _with_unit(value: float | None, unit: str) -> str:
    return "unknown" if value is None else f"{value:.4g} {unit}".rstrip()
