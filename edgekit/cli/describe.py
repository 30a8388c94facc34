"""``edgekit describe``."""

from __future__ import annotations

from typing import Annotated

import typer

from edgekit.cli import console
from edgekit.cli.arguments import Depth, InChannels, Json, Model, NumClasses, Resolution, Width
from edgekit.cli.console import Column
from edgekit.description import describe
from edgekit.options import Precision, ScaleChange
from edgekit.results import Description, Prediction

__all__ = ["app"]

app = console.new_app()

_COLUMNS = (
    Column("layer"),
    Column("op"),
    Column("output shape", is_number=True),
    Column("activation KB", is_number=True),
    Column("params", is_number=True),
    Column("M MACs", is_number=True),
)


@app.command()
def _describe(
    model: Model,
    width: Width = None,
    depth: Depth = None,
    resolution: Resolution = None,
    num_classes: NumClasses = None,
    in_channels: InChannels = None,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="T", help="Also predict top-1 and latency there."),
    ] = None,
    precision: Annotated[
        Precision | None,
        typer.Option("--precision", help="Of the predicted latency.", show_default="as measured there"),
    ] = None,
    num_threads: Annotated[
        int | None,
        typer.Option(
            "--num-threads", metavar="N", help="Of the predicted latency.", show_default="as measured there"
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Also what depthwise separable convolutions save against full ones."),
    ] = False,
    json: Json = False,
) -> None:
    """A network layer by layer, for one image in fp32: output shape, activation, params, multiply-adds.

    One KB is 1024 bytes, one MAC one multiply-add.
    """
    change = ScaleChange(width, depth, resolution, num_classes, in_channels)
    description = describe(model, change, target=target, precision=precision, num_threads=num_threads)
    if json:
        console.print_json(description.to_json())
        return
    _print(description)
    if explain:
        from edgekit.cli.separable_explanation import print_explanation  # not needed otherwise

        print_explanation(model, change)


def _print(description: Description) -> None:
    totals = description.totals
    console.print_table(
        _COLUMNS,
        [
            (
                layer.name,
                layer.op,
                _shape(layer.output_shape),
                _kb(layer.activation_bytes),
                f"{layer.params:,}",
                _millions(layer.macs),
            )
            for layer in description.layers
        ],
        footer=("total", "", "", "", f"{totals.params:,}", _millions(totals.macs)),
    )
    console.print_line()
    console.print_fields(
        {
            "model": description.model,
            "input": _shape(description.input_shape),
            "weights": f"{totals.weight_bytes / 1e6:,.2f} MB",
            "peak activations": f"{_kb(totals.peak_activation_bytes)} KB",
            **(_predicted_fields(description.predicted) if description.predicted else {}),
        }
    )


def _predicted_fields(predicted: Prediction) -> dict[str, str]:
    """Predictions with their errors, or that there are none."""
    beyond = " (beyond what was published)" if predicted.extrapolates else ""
    return {
        "predicted top-1": "unknown"
        if predicted.top1 is None
        else f"{predicted.top1:.1f} % ± {predicted.top1_error:.1f} points{beyond}",
        "predicted latency": "unknown: there are no measurements to go by"
        if predicted.latency_ms is None
        else f"{predicted.latency_ms:.3g} ms ± {predicted.latency_error_percent:.0f} %{beyond}",
    }


def _shape(shape: tuple[int, ...]) -> str:
    """Without the batch of one: 64×56×56."""
    return "×".join(map(str, shape[1:]))


def _kb(size_bytes: int) -> str:
    return f"{size_bytes / 1024:,.1f}"


def _millions(macs: int) -> str:
    return f"{macs / 1e6:,.2f}"
