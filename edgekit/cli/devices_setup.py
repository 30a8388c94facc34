"""``edgekit devices setup``: says what it will do, and does it."""

from __future__ import annotations

from edgekit.cli import console
from edgekit.cli.progress import watch
from edgekit.errors import UnknownNameError

__all__ = ["run"]

_KINDS = ("arm64",)


def run(what: str, dry_run: bool, json: bool) -> None:
    """Prepare ``what``. Raises UnknownNameError, and DeviceError for what cannot be done here."""
    from edgekit.devices import arm64_setup  # brings what unpacks, which other commands do without

    if what not in _KINDS:
        raise UnknownNameError("device to set up", what, _KINDS)
    todo = arm64_setup.plan()
    if not json:
        _say(todo.folder.as_posix(), [step.summary for step in todo.steps])
    if not dry_run:
        with watch() as progress:
            arm64_setup.setup(todo, progress)
    if json:
        steps = [step.summary for step in todo.steps]
        console.print_json({"folder": todo.folder.as_posix(), "steps": steps, "done": not dry_run})
    elif todo.steps and not dry_run:
        console.print_line("Done: edgekit devices check emulated-arm64")


def _say(folder: str, steps: list[str]) -> None:
    if not steps:
        console.print_line(f"{folder} is as it should be.")
        return
    console.print_line(f"In {folder}:")
    for number, step in enumerate(steps, 1):
        console.print_line(f"{number}. {step}")
