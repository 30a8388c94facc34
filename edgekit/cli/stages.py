"""``edgekit stages``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from edgekit.cli import console
from edgekit.cli.arguments import Depth, Json, Model, NumClasses, Resolution, Weights, Width
from edgekit.cli.console import Column
from edgekit.cli.progress import watch
from edgekit.options import ExportOptions, ScaleChange

__all__ = ["app"]

app = console.new_app()

_COLUMNS = (
    Column("left out"),
    Column("SQNR dB", is_number=True),
    Column("agreement %", is_number=True),
    Column("seconds", is_number=True),
    Column("what it does"),
)


@app.command()
def _stages(
    model: Model,
    width: Width = None,
    depth: Depth = None,
    resolution: Resolution = None,
    num_classes: NumClasses = None,
    weights: Weights = "auto",
    calibration: Annotated[
        str | None,
        typer.Option(
            "--calibration",
            metavar="FOLDER|NAME",
            help="Images to calibrate on, and to score on those that are left.",
            show_default="generated images",
        ),
    ] = None,
    samples: Annotated[int, typer.Option("--samples", metavar="N", help="Calibrate on N images.")] = 32,
    held_back: Annotated[
        int, typer.Option("--held-back", metavar="N", help="Score on at most N other images.")
    ] = 50,
    json: Json = False,
) -> None:
    """What each stage of int8 quantization buys on a model: the result with each left out.

    Logits are compared with the fp32 network's, on images that did not calibrate.
    """
    from edgekit.quantize.options import STAGES  # brings numpy, which --help does without
    from edgekit.stages import stages

    options = ExportOptions(
        scale=ScaleChange(width, depth, resolution, num_classes),
        weights=weights,
        calibration=calibration,
        samples=samples,
    )
    with watch() as progress:
        rows = stages(model, options, held_back, progress)
    if json:
        console.print_json({"model": model, "stages": [asdict(row) for row in rows]})
        return
    console.print_table(
        _COLUMNS,
        [
            (
                "nothing" if not row.skipped else row.name if row.name in STAGES else "every stage",
                f"{row.sqnr_db:.2f}",
                f"{row.agreement:.1f}",
                f"{row.seconds:.1f}",
                STAGES.get(row.name, ""),
            )
            for row in rows
        ],
    )
