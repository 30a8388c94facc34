"""``edgekit compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import edgekit
from edgekit.cli import console
from edgekit.cli.arguments import Artifact, Json, Results
from edgekit.cli.progress import watch
from edgekit.cli.recorded import record_accuracy
from edgekit.errors import InputError
from edgekit.report.wording import counted
from edgekit.results import Comparison

__all__ = ["app"]

app = console.new_app()


@app.command()
def _compare(
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REFERENCE", help="The file to compare with, usually fp32; with --layers also a MODEL."
        ),
    ],
    artifact: Artifact,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="FOLDER", help="Images. Only --layers does without, on generated ones."
        ),
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="Show where the error comes from, layer by layer.")
    ] = False,
    samples: Annotated[
        int, typer.Option("--samples", metavar="N", min=1, help="Run at most N images for --layers.")
    ] = 16,
    in_order: Annotated[
        bool, typer.Option("--in-order", help="List layers as in the network, not the worst first.")
    ] = False,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw the layers: .svg, .png or .html.")
    ] = None,
    out: Results = None,
    json: Json = False,
) -> None:
    """How far an exported file agrees with another on the same images."""
    if layers:
        from edgekit.cli.compare_layers import run_layers  # brings the runtimes and the drawing

        run_layers(reference, artifact, data, samples, plot, out, in_order=in_order, json=json)
        return
    if plot is not None or in_order:
        raise InputError("--plot and --in-order show layers", hint="add --layers")
    if data is None:
        raise InputError("images were expected, none were given", hint="add --data FOLDER, or --layers")
    with watch() as progress:
        result = edgekit.compare(Path(reference), artifact, data, progress=progress)
    record_accuracy(out, result, data)
    if result.skipped:
        console.warn(f"{counted(result.skipped, 'image file')} could not be read")
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
            "expected": f"{result.expected_agreement:.2f} % agreement, of noise this large on these images",
            "SQNR": f"{result.sqnr_db:.2f} dB",
        }
    )


def _percent(value: float | None) -> str:
    return "unknown, the images have no labels" if value is None else f"{value:.2f} %"
