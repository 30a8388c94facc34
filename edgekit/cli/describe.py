"""``edgekit describe``."""

from __future__ import annotations

from typing import Annotated

import typer

from edgekit.cli import console
from edgekit.cli.arguments import (
    Depth,
    InChannels,
    Input,
    Json,
    Model,
    NumClasses,
    Resolution,
    Width,
    input_shapes,
)
from edgekit.cli.console import Column
from edgekit.description import describe
from edgekit.options import Precision, ScaleChange
from edgekit.receptive_field import ReceptiveField
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
    Column("sees", is_number=True, is_optional=True),
    Column("stride", is_number=True, is_optional=True),
)


@app.command()
def _describe(
    model: Model,
    width: Width = None,
    depth: Depth = None,
    resolution: Resolution = None,
    num_classes: NumClasses = None,
    in_channels: InChannels = None,
    inputs: Input = None,
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
        typer.Option("--explain", help="Also what separable, stacked and grouped convolutions save."),
    ] = False,
    json: Json = False,
) -> None:
    """A network layer by layer, for one image in fp32: output shape, activation, params, multiply-adds.

    One KB is 1024 bytes, one MAC one multiply-add. "sees" is the receptive field, the pixels of the image
    a side that an output pixel depends on, and "stride" how many lie between neighbours.
    """
    change = ScaleChange(width, depth, resolution, num_classes, in_channels, input_shapes(inputs))
    description = describe(model, change, target=target, precision=precision, num_threads=num_threads)
    if json:
        console.print_json(description.to_json())
        return
    _print(description)
    if explain:
        from edgekit.cli import kernel_explanation, separable_explanation  # not needed otherwise

        separable_explanation.print_explanation(model, change)
        kernel_explanation.print_explanation(model, change)


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
                *_field(layer.receptive_field),
            )
            for layer in description.layers
        ],
        footer=("total", "", "", "", f"{totals.params:,}", _millions(totals.macs), "", ""),
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


def _field(field: ReceptiveField | None) -> tuple[str, str]:
    """Pixels of the image a side, and between neighbours; one number where height and width are equal."""
    return ("image", "") if field is None else (_side(field.size), _side(field.stride))


def _side(pair: tuple[int, int]) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}×{pair[1]}"


def _kb(size_bytes: int) -> str:
    return f"{size_bytes / 1024:,.1f}"


def _millions(macs: int) -> str:
    return f"{macs / 1e6:,.2f}"
