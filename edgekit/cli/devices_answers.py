"""``edgekit devices check DEVICE FILE...``: whether files answer there as here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.cli import console
from edgekit.cli.console import Column
from edgekit.cli.progress import watch
from edgekit.errors import CheckError

if TYPE_CHECKING:
    from edgekit.devices import Device

__all__ = ["show"]

_COLUMNS = (
    Column("file"),
    Column("runtime"),
    Column("there"),
    Column("here"),
    Column("output"),
    Column("largest difference", is_number=True),
    Column("same"),
)


def show(device: Device, files: Sequence[Path], json: bool) -> None:
    """Compare and print. Raises CheckError when a file answers otherwise there."""
    from edgekit.measure.answers import compare_answers  # brings numpy, which the list does without

    with watch() as progress:
        found = compare_answers(device, files, progress)
    if json:
        rows = [one.to_json() for one in found]
        console.print_json({"device": device.name, "emulated": device.emulated, "answers": rows})
    else:
        console.print_table(
            _COLUMNS,
            [
                (
                    one.path.name,
                    one.runtime,
                    *one.versions,
                    one.dtype,
                    f"{one.largest_difference:.2g}",
                    "identical" if one.is_identical else "yes" if one.is_same else "no",
                )
                for one in found
            ],
        )
    others = [one.path.name for one in found if not one.is_same]
    if others:
        raise CheckError(f"{', '.join(others)} answer on {device.name} otherwise than here")
