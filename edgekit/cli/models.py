"""``edgekit models``."""

from __future__ import annotations

from typing import Annotated

import typer

from edgekit.cli import console
from edgekit.cli.arguments import Json
from edgekit.cli.console import Column
from edgekit.description import models

__all__ = ["app"]

app = console.new_app()

_COLUMNS = (
    Column("name"),
    Column("family"),
    Column("resolution", is_number=True),
    Column("params", is_number=True),
    Column("M MACs", is_number=True),
    Column("top-1 %", is_number=True),
    Column("weights"),
)


@app.command()
def _models(
    family: Annotated[
        str | None, typer.Option("--family", metavar="F", help="Only the networks of this family.")
    ] = None,
    json: Json = False,
) -> None:
    """Networks by name: parameters, multiply-adds, published top-1 accuracy, and where weights come from.

    top-1 is what the publication reports on ImageNet-1k.
    """
    rows = models(family)
    if json:
        console.print_json({"models": [row.to_json() for row in rows]})
        return
    console.print_table(
        _COLUMNS,
        [
            (
                row.name,
                row.family,
                str(row.resolution),
                f"{row.params:,}",
                f"{row.macs / 1e6:,.1f}",
                "" if row.top1 is None else f"{row.top1:.1f}",
                ", ".join(row.weights),
            )
            for row in rows
        ],
    )
