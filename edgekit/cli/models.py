"""``edgekit models``."""

from __future__ import annotations

from typing import Annotated

import typer

from edgekit.cli import console
from edgekit.cli.arguments import Json
from edgekit.cli.console import Column
from edgekit.description import models
from edgekit.models.entry import IMAGENET
from edgekit.results import ModelRow

__all__ = ["app"]

app = console.new_app()

_COLUMNS = (
    Column("name"),
    Column("family", is_optional=True),
    Column("resolution", is_number=True, is_optional=True),
    Column("params", is_number=True),
    Column("M MACs", is_number=True),
    Column("top-1 %", is_number=True),
    Column("weights"),
)


_COMPARED = (
    Column("name"),
    Column("year", is_number=True),
    Column("layers", is_number=True),
    Column("params", is_number=True),
    Column("M MACs", is_number=True),
    Column("activations MB", is_number=True),
    Column("peak MB", is_number=True, is_optional=True),
    Column("top-5 error %", is_number=True),
    Column("published by", is_optional=True),
)


@app.command()
def _models(
    family: Annotated[
        str | None, typer.Option("--family", metavar="F", help="Only the networks of this family.")
    ] = None,
    compare: Annotated[
        bool,
        typer.Option("--compare", help="By year: layers, params, MACs, activations, top-5 error."),
    ] = False,
    json: Json = False,
) -> None:
    """Networks by name: parameters, multiply-adds, published top-1 accuracy, and where weights come from.

    top-1 is what the publication reports on ImageNet-1k, or on the dataset that is named. Activations are
    those of one fp32 image, all layers together and at most at once; one MB of them is 1024² bytes.
    """
    rows = models(family)
    if json:
        console.print_json({"models": [row.to_json() for row in rows]})
    elif compare:
        _print_comparison(rows)
    else:
        _print(rows)


def _print(rows: tuple[ModelRow, ...]) -> None:
    console.print_table(
        _COLUMNS,
        [
            (
                row.name,
                row.family,
                str(row.resolution),
                f"{row.params:,}",
                f"{row.macs / 1e6:,.1f}",
                _top1(row),
                ", ".join(row.weights),
            )
            for row in rows
        ],
    )


def _top1(row: ModelRow) -> str:
    """Percent, with the dataset where it is another than ImageNet-1k."""
    if row.top1 is None:
        return ""
    return f"{row.top1:.1f}" if row.dataset == IMAGENET else f"{row.dataset} {row.top1:.1f}"


def _print_comparison(rows: tuple[ModelRow, ...]) -> None:
    """In the order of the papers; counts are ours, errors published."""
    console.print_table(
        _COMPARED,
        [
            (
                row.name,
                str(row.year),
                str(row.layers),
                f"{row.params:,}",
                f"{row.macs / 1e6:,.1f}",
                f"{row.activation_bytes / 2**20:,.2f}",
                f"{row.peak_activation_bytes / 2**20:,.2f}",
                _top5_error(row),
                row.source if row.top5 else "",
            )
            for row in sorted(rows, key=lambda row: row.year)
        ],
    )


def _top5_error(row: ModelRow) -> str:
    return "" if row.top5 is None else f"{100 - row.top5:.1f}"
