"""``edgekit targets``."""

from __future__ import annotations

from typing import Annotated

import typer

from edgekit import target
from edgekit.cli import console
from edgekit.cli.arguments import Json
from edgekit.cli.console import Column

__all__ = ["app"]

app = console.new_app()


@app.callback()
def _targets() -> None:
    """What exports can be made for: devices by name, besides the formats themselves."""


@app.command("list")
def _list(json: Json = False) -> None:
    """Every target that has a name; a format can be given as well."""
    targets = target.all_targets()
    if json:
        console.print_json({"targets": [one.to_json() for one in targets]})
        return
    console.print_table(
        (Column("name"), Column("kind"), Column("format"), Column("precisions"), Column("summary")),
        [(one.name, one.kind, one.format, ", ".join(one.precisions), one.summary) for one in targets],
    )
    console.print_line()
    console.print_line(f"--target also takes a format: {', '.join(target.FORMAT_NAMES)}")


@app.command("show")
def _show(
    name: Annotated[str, typer.Argument(metavar="T", help="A target's name, its TOML file, or a format.")],
    json: Json = False,
) -> None:
    """What one target needs and allows."""
    targets = target.resolve(name)
    if json:
        console.print_json({"targets": [one.to_json() for one in targets]})
        return
    for one in targets:
        console.print_fields(
            {
                "name": one.name,
                "summary": one.summary or "any runtime of the format",
                "kind": one.kind,
                "format": one.format,
                "precisions": f"{', '.join(one.precisions)} (the first is the default)",
            }
        )
        console.print_line()
