"""``edgekit compare --layers``: a table of the layers, JSON, and a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from edgekit.cli import console
from edgekit.cli.console import Column
from edgekit.cli.progress import watch
from edgekit.diagnosis import LayerError, LayersComparison, compare_layers
from edgekit.measure.results_file import append
from edgekit.recording import layers_record
from edgekit.report import layers as picture
from edgekit.report.wording import counted

__all__ = ["run_layers"]

_COLUMNS = (
    Column("layer"),
    Column("op", is_optional=True),
    Column("output dB", is_number=True),
    Column("weights dB", is_number=True),
    Column("activations dB", is_number=True),
    Column("worst channels", is_optional=True),
)


def run_layers(
    reference: str,
    artifact: Path,
    data: Path | None,
    samples: int,
    plot: Path | None,
    out: Path | None,
    *,
    in_order: bool,
    json: bool,
) -> None:
    """Compare, draw, record and print."""
    with watch() as progress:
        result = compare_layers(reference, artifact, data, samples=samples, progress=progress)
    for warning in result.warnings:
        console.warn(warning)
    if plot is not None:
        picture.draw(plot, _points(result.layers), title=f"{result.artifact.name} against {result.reference}")
    if out is not None:
        words = ["compare", reference, artifact.as_posix(), "--layers", "--samples", str(samples)]
        command = [*words, *(["--data", str(data)] if data else [])]
        rows = [one.to_json() for one in result.layers]
        append(out, layers_record(artifact, rows, command, result.warnings))
    if json:
        console.print_json(result.to_json())
    else:
        _print(result, in_order)


def _points(layers: Sequence[LayerError]) -> list[picture.LayerPoint]:
    return [
        picture.LayerPoint(one.name, one.output_sqnr_db, one.weight_sqnr_db, one.activation_sqnr_db)
        for one in layers
    ]


def _print(result: LayersComparison, in_order: bool) -> None:
    rows = list(result.layers) if in_order else sorted(result.layers, key=lambda one: one.output_sqnr_db)
    console.print_table(_COLUMNS, [_row(one) for one in rows])
    console.print_line()
    for line in _notes(result):
        console.print_line(line)


def _row(layer: LayerError) -> tuple[str, ...]:
    worst = " ".join(f"{one.channel} ({one.noise_share:.0%})" for one in layer.worst_channels)
    return (
        layer.name,
        layer.op,
        _decibels(layer.output_sqnr_db),
        _decibels(layer.weight_sqnr_db),
        _decibels(layer.activation_sqnr_db),
        worst,
    )


def _notes(result: LayersComparison) -> list[str]:
    notes = [
        f"{counted(result.images, 'image')}: agreement {result.agreement:.1f} %, SQNR of the logits "
        f"{_decibels(result.sqnr_db)} dB.",
        "output: the layer's error and that of all before it; weights, activations: its own alone.",
    ]
    notes += [f"{one.name}: {one.suggestion.text}" for one in result.layers if one.suggestion is not None]
    if result.unmatched:
        notes.append(f"Not found in the file: {', '.join(result.unmatched)}.")
    return notes


def _decibels(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f}" if math.isfinite(value) else "exact"
