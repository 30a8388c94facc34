"""``edgekit compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import edgekit
from edgekit.cli import console
from edgekit.cli.arguments import Artifact, Data, Json
from edgekit.cli.progress import watch
from edgekit.results import Comparison

__all__ = ["app"]

app = console.new_app()


@app.command()
def _compare(
    reference: Annotated[
        Path, typer.Argument(metavar="REFERENCE", help="The file to compare with, usually fp32.")
    ],
    artifact: Artifact,
    data: Data,
    json: Json = False,
) -> None:
    """How far an exported file agrees with another on the same images."""
    with watch() as progress:
        result = edgekit.compare(reference, artifact, data, progress=progress)
    if result.skipped:
        console.warn(f"{result.skipped} image files could not be read")
    if json:
        console.print_json(result.to_json())
    else:
        _print(result)


def _print(result: Comparison) -> None:
    console.print_fields(
        {
            "reference": result.reference,
            "artifact": result.artifact,
            "images": result.images,
            "top-1": _percent(result.top1),
            "top-5": _percent(result.top5),
            "agreement": _percent(result.agreement),
            "SQNR": f"{result.sqnr_db:.2f} dB",
        }
    )


def _percent(value: float | None) -> str:
    return "unknown, the images have no labels" if value is None else f"{value:.2f} %"
