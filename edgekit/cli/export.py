"""``edgekit export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import edgekit
from edgekit.cli import console
from edgekit.cli.arguments import Depth, InChannels, Json, Model, NumClasses, Resolution, Width
from edgekit.cli.console import Column
from edgekit.cli.progress import watch
from edgekit.errors import InputError
from edgekit.options import ExportOptions, IoType, Precision, ScaleChange
from edgekit.results import ExportResult

__all__ = ["app"]

app = console.new_app()

_DEFAULTS = ExportOptions()
_COLUMNS = (
    Column("file"),
    Column("precision"),
    Column("MB", is_number=True),
    Column("agreement %", is_number=True),
    Column("SQNR dB", is_number=True),
    Column("max error", is_number=True),
)


@app.command()
def _export(
    model: Model,
    target: Annotated[
        str,
        typer.Option(
            "--target",
            metavar="T",
            help="A format (tflite, onnx, openvino, all) or a name from `edgekit targets list`.",
        ),
    ] = _DEFAULTS.target,
    precision: Annotated[
        Precision | None,
        typer.Option("--precision", help="What the weights are stored as.", show_default="the target's"),
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Short for --precision int8.")] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="Short for --precision fp16.")] = False,
    out_dir: Annotated[
        Path,
        typer.Option("-o", "--out-dir", metavar="DIR", help="Where the files go; created if missing."),
    ] = _DEFAULTS.out_dir,
    width: Width = None,
    depth: Depth = None,
    resolution: Resolution = None,
    num_classes: NumClasses = None,
    in_channels: InChannels = None,
    weights: Annotated[
        str,
        typer.Option(
            "--weights",
            metavar="imagenet|random|FILE",
            help="auto: those of an installed package if the model has one, else random.",
        ),
    ] = _DEFAULTS.weights,
    calibration: Annotated[
        str | None,
        typer.Option(
            "--calibration",
            metavar="FOLDER|NAME",
            help="Images to calibrate int8 on, or a name from `edgekit calibration list`.",
            show_default="generated images",
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", metavar="N", help="Calibrate on at most N images.")
    ] = _DEFAULTS.samples,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Of random weights and the choice of images.")
    ] = _DEFAULTS.seed,
    input_type: Annotated[
        IoType | None,
        typer.Option("--input-type", help="What the application feeds.", show_default="the format's"),
    ] = None,
    output_type: Annotated[
        IoType | None,
        typer.Option("--output-type", help="What the application reads.", show_default="the format's"),
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(
            "--max-drop", metavar="POINTS", help="Fail when top-1 on --data drops by more than this."
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FOLDER", help="Labelled images for --max-drop.")
    ] = None,
    json: Json = False,
) -> None:
    """Make files of a model, each checked against the fp32 network in its own runtime.

    A manifest.json beside the files says how to feed and read them.
    """
    options = ExportOptions(
        target=target,
        precision=_precision(precision, int8, fp16),
        out_dir=out_dir,
        scale=ScaleChange(width, depth, resolution, num_classes, in_channels),
        weights=weights,
        seed=seed,
        calibration=calibration,
        samples=samples,
        input_type=input_type,
        output_type=output_type,
        max_drop=max_drop,
        data=data,
    )
    with watch() as progress:
        result = edgekit.export(model, options, progress)
    for warning in result.warnings:
        console.warn(warning)
    if json:
        console.print_json(result.to_json())
    else:
        _print(result)


def _precision(precision: Precision | None, int8: bool, fp16: bool) -> Precision | None:
    shorts: dict[Precision, bool] = {"int8": int8, "fp16": fp16}
    asked = {name for name, is_set in shorts.items() if is_set} | ({precision} - {None})
    if len(asked) > 1:
        raise InputError(
            f"one precision was expected, given were {' and '.join(sorted(map(str, asked)))}",
            hint="export once for each precision; both fit into one folder",
        )
    return asked.pop() if asked else None


def _print(result: ExportResult) -> None:
    console.print_table(
        _COLUMNS,
        [
            (
                artifact.path.name,
                artifact.precision,
                f"{artifact.size_bytes / 1e6:,.2f}",
                f"{artifact.parity.agreement:.1f}",
                f"{artifact.parity.sqnr_db:.1f}",
                f"{artifact.parity.max_relative_error:.1e}",
            )
            for artifact in result.artifacts
        ],
    )
    images = max((artifact.parity.images for artifact in result.artifacts), default=0)
    console.print_line()
    console.print_line(f"Compared with the fp32 network on {images} images.")
    console.print_line(f"{result.manifest} says how to feed and read the files.")
    console.print_line(f"{result.seconds['total']:.1f} s")
