"""``edgekit export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

import edgekit
from edgekit.cli import console
from edgekit.cli.arguments import (
    Depth,
    InChannels,
    Input,
    Json,
    Model,
    NumClasses,
    Resolution,
    Weights,
    Width,
    input_shapes,
)
from edgekit.cli.console import Column
from edgekit.cli.progress import watch
from edgekit.errors import InputError
from edgekit.options import Effort, ExportOptions, IoType, Precision, Ranges, ScaleChange
from edgekit.report.wording import counted
from edgekit.results import ExportResult, MixedPlan, PlanCost, RangeChoice

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
    inputs: Input = None,
    weights: Weights = _DEFAULTS.weights,
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
    embed_preprocessing: Annotated[
        bool,
        typer.Option(
            "--embed-preprocessing", help="Let the files take the cropped image as uint8 and normalize it."
        ),
    ] = False,
    max_drop: Annotated[
        float | None,
        typer.Option(
            "--max-drop", metavar="POINTS", help="Fail when top-1 on --data drops by more than this."
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="FOLDER", help="Labelled images for --max-drop.")
    ] = None,
    keep_float: Annotated[
        list[str] | None,
        typer.Option(
            "--keep-float",
            metavar="LAYER",
            help="Leave this layer float in int8 files; repeatable, * is any.",
        ),
    ] = None,
    keep_int16: Annotated[
        list[str] | None,
        typer.Option("--keep-int16", metavar="LAYER", help="The same with int16 activations, TFLite only."),
    ] = None,
    time_plan: Annotated[
        bool,
        typer.Option("--time-plan/--no-time-plan", help="Measure what layers kept for --max-drop cost."),
    ] = _DEFAULTS.time_plan,
    force: Annotated[
        bool, typer.Option("--force", help="Make files that the target refuses, with a warning.")
    ] = False,
    per_tensor_weights: Annotated[
        bool, typer.Option("--per-tensor-weights", help="One scale for each tensor of int8 weights.")
    ] = False,
    reduce_range: Annotated[
        bool,
        typer.Option(
            "--reduce-range", help="Int8 weights within ±64, for kernels that add any products in 16 bits."
        ),
    ] = False,
    ranges: Annotated[
        Ranges,
        typer.Option("--ranges", help="How activation ranges are chosen; auto: by the error they make."),
    ] = _DEFAULTS.ranges,
    effort: Annotated[
        Effort, typer.Option("--effort", help="high: int8 that is learned, in minutes and with torch.")
    ] = _DEFAULTS.effort,
    skip_stage: Annotated[
        list[str] | None,
        typer.Option(
            "--skip-stage",
            metavar="STAGE",
            help="Leave a stage of the quantizer out, as `edgekit stages` names them; repeatable.",
        ),
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
        scale=ScaleChange(width, depth, resolution, num_classes, in_channels, input_shapes(inputs)),
        weights=weights,
        seed=seed,
        calibration=calibration,
        samples=samples,
        input_type=input_type,
        output_type=output_type,
        embed_preprocessing=embed_preprocessing,
        max_drop=max_drop,
        data=data,
        keep_float=tuple(keep_float or ()),
        keep_int16=tuple(keep_int16 or ()),
        time_plan=time_plan,
        per_tensor_weights=per_tensor_weights,
        reduce_range=reduce_range,
        ranges=ranges,
        effort=effort,
        skip_stages=tuple(skip_stage or ()),
        force=force,
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
    if result.ranges is not None:
        _print_ranges(result.ranges)
    if result.plan is not None:
        _print_plan(result.plan)
    images = max((artifact.parity.images for artifact in result.artifacts), default=0)
    console.print_line()
    console.print_line(f"Compared with the fp32 network on {counted(images, 'image')}.")
    left = [artifact.transposes for artifact in result.artifacts if artifact.transposes is not None]
    if left:
        console.print_line(f"Transpositions left in the TFLite file: {max(left)}.")
    console.print_line(f"{result.manifest} says how to feed and read the files.")
    if result.sources:
        names = " and ".join(path.name for path in result.sources)
        console.print_line(f"{names} hold the same as a C++ array, with the size of its arena.")
    console.print_line(f"{result.seconds['total']:.1f} s")


def _print_ranges(ranges: RangeChoice) -> None:
    tried = sorted(ranges.sqnr_db.items(), key=lambda one: -one[1])
    found = ", ".join(f"{name} {decibels:.1f} dB" for name, decibels in tried)
    console.print_line()
    console.print_line(f"Activation ranges by {ranges.method}; on a few calibration images: {found}.")


def _print_plan(plan: MixedPlan) -> None:
    console.print_line()
    share = f"{plan.macs_percent:.1f} % of the multiply-adds"
    console.print_line(f"{len(plan.kept)} of {counted(plan.layers, 'layer')}, {share}, are not int8:")
    for name, precision in plan.kept.items():
        console.print_line(f"  {name} ({precision})")
    if plan.drop is not None and plan.plain_drop is not None:
        console.print_line(
            f"They lose {plan.drop:.2f} points of top-1 where plain int8 loses {plan.plain_drop:.2f}; "
            f"{counted(plan.trials, 'plan')} {'was' if plan.trials == 1 else 'were'} tried."
        )
    for cost in plan.costs:
        console.print_line(f"  {cost.format}: {_cost(cost)}")


def _cost(cost: PlanCost) -> str:
    size = f"{cost.size_bytes / 1e6:.2f} MB, plain {cost.plain_size_bytes / 1e6:.2f} MB"
    if cost.latency_ms is None or cost.plain_latency_ms is None:
        return size
    return f"{size}; {cost.latency_ms:.2f} ms, plain {cost.plain_latency_ms:.2f} ms"
