"""Arguments that several commands take, each with one name, one type and one help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

__all__ = [
    "Artifact",
    "Data",
    "Depth",
    "InChannels",
    "Json",
    "Model",
    "NumClasses",
    "Resolution",
    "Width",
]

_SCALE = "Scale of a zoo network: "

Model: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="A name from `edgekit models`, a model.toml, a .onnx file, or package.module:function "
        "returning a torch module.",
        show_default=False,
    ),
]
Artifact: TypeAlias = Annotated[
    Path, typer.Argument(metavar="ARTIFACT", help="An exported .tflite, .onnx or .xml file.")
]
Data: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--data",
        metavar="FOLDER",
        help="Images; the class index comes first in each file name, as in 0065_sea_snake.jpg.",
    ),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Width: TypeAlias = Annotated[
    float | None, typer.Option("--width", metavar="FACTOR", help=f"{_SCALE}channels times FACTOR.")
]
Depth: TypeAlias = Annotated[
    float | None, typer.Option("--depth", metavar="FACTOR", help=f"{_SCALE}repeats times FACTOR.")
]
Resolution: TypeAlias = Annotated[
    int | None, typer.Option("--resolution", metavar="PIXELS", help=f"{_SCALE}input height and width.")
]
NumClasses: TypeAlias = Annotated[
    int | None, typer.Option("--num-classes", metavar="N", help=f"{_SCALE}classes of the output.")
]
InChannels: TypeAlias = Annotated[
    int | None, typer.Option("--in-channels", metavar="N", help=f"{_SCALE}channels of the input.")
]
