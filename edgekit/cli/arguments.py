"""Arguments that several commands take, each with one name, one type and one help text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from edgekit.errors import InputError

__all__ = [
    "Artifact",
    "Data",
    "Depth",
    "InChannels",
    "Input",
    "Json",
    "Model",
    "NumClasses",
    "Resolution",
    "Results",
    "Weights",
    "Width",
    "input_shapes",
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
Results: TypeAlias = Annotated[
    Path | None,
    typer.Option("-o", "--out", metavar="FILE", help="Add what was found to a results file, for reports."),
]
Weights: TypeAlias = Annotated[
    str,
    typer.Option(
        "--weights",
        metavar="imagenet|random|FILE|hf://OWNER/REPO",
        help="auto: those of an installed package if the model has one, else random.",
    ),
]
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
Input: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="CxHxW",
        help="Shape of an input of your own module or file, 3x224x224; once for each input.",
        show_default="3x224x224, or the file's",
    ),
]


def input_shapes(texts: list[str] | None) -> tuple[tuple[int, ...], ...] | None:
    """The shapes that ``--input`` names; InputError for one that cannot be read."""
    if not texts:
        return None
    shapes = []
    for text in texts:
        parts = text.lower().split("x")
        if not all(part.isdecimal() and int(part) > 0 for part in parts):
            raise InputError(f"--input is {text!r}, expected sizes such as 3x224x224", hint="the batch is 1")
        shapes.append(tuple(int(part) for part in parts))
    return tuple(shapes)
