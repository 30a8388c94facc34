"""``edgekit check``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

import edgekit
from edgekit.cli import console
from edgekit.cli.arguments import InChannels, Input, Json, Model, Resolution, input_shapes
from edgekit.cli.console import Column
from edgekit.options import ScaleChange
from edgekit.report.wording import counted

if TYPE_CHECKING:
    from edgekit.checking import Check, Finding

__all__ = ["app"]

app = console.new_app()

_COLUMNS = (Column("node"), Column("operator"), Column("why not"), Column("what to do"))


@app.command()
def _check(
    model: Model,
    target: Annotated[
        str, typer.Option("--target", metavar="T", help="A format or a name from `edgekit targets list`.")
    ] = "tflite",
    resolution: Resolution = None,
    in_channels: InChannels = None,
    inputs: Input = None,
    json: Json = False,
) -> None:
    """Say what of a model cannot be made into a file, before any work. Exit code 1 if something cannot."""
    change = ScaleChange(resolution=resolution, in_channels=in_channels, inputs=input_shapes(inputs))
    found = edgekit.check(model, target, change)
    if json:
        console.print_json(found.to_json())
    else:
        _print(found)
    if not found.passed:
        raise typer.Exit(1)


def _print(found: Check) -> None:
    refused = [finding for finding in found.findings if finding.kind == "refused"]
    floats = [finding for finding in found.findings if finding.kind == "float"]
    if refused:
        console.print_table(_COLUMNS, _rows(refused))
        console.print_line()
        console.print_line(f"{found.model} cannot be exported for {found.target}.")
        return
    console.print_line(
        f"{found.model} can be exported for {found.target}: {counted(found.nodes, 'operator')}."
    )
    if found.transposes is not None:
        console.print_line(f"Transpositions left in the TFLite file: {found.transposes}.")
    if floats:
        kinds = sorted({finding.op_type for finding in floats})
        compute = f"{counted(len(floats), 'operator')} compute{'s' if len(floats) == 1 else ''}"
        console.print_line(f"In an int8 file {compute} in float32: {', '.join(kinds)}.")


def _rows(refused: Sequence[Finding]) -> list[tuple[str, ...]]:
    """One for all nodes of an operator that are refused for the same reason."""
    nodes: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for one in refused:
        nodes[one.op_type, one.reason, one.advice].append(one.node)
    return [(_first(names), *shared) for shared, names in nodes.items()]


def _first(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {counted(len(names) - 1, 'other')}"
