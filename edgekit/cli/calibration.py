"""``edgekit calibration``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekit.cli import console
from edgekit.cli.arguments import Depth, Json, Model, NumClasses, Resolution, Weights, Width
from edgekit.cli.console import Column
from edgekit.cli.progress import watch
from edgekit.errors import InputError
from edgekit.options import ExportOptions, ScaleChange
from edgekit.report.wording import counted

if TYPE_CHECKING:
    from edgekit.calibration_curve import CalibrationCurve
    from edgekit.quantize.recipe import Recipe

__all__ = ["app"]

app = console.new_app()

_COLUMNS = (
    Column("name"),
    Column("images", is_number=True),
    Column("licence"),
    Column("from"),
    Column("description"),
)
_CURVE_COLUMNS = (
    Column("calibrated on"),
    Column("images", is_number=True),
    Column("agreement %", is_number=True),
    Column("SQNR dB", is_number=True),
)


@app.callback()
def _calibration() -> None:
    """Recipes of calibration images: which they are, where they come from, how to know them again."""


@app.command("list")
def _list(json: Json = False) -> None:
    """Every recipe that `edgekit export --calibration` takes by name."""
    from edgekit.quantize.recipe import list_recipes  # brings numpy, which --help does without

    recipes = list_recipes()
    if json:
        console.print_json({"recipes": [_to_json(recipe) for recipe in recipes]})
        return
    console.print_table(
        _COLUMNS,
        [
            (one.name, str(one.count), one.licence, one.folder or "generated", one.description)
            for one in recipes
        ],
    )


@app.command("create")
def _create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call the recipe.")],
    folder: Annotated[
        Path, typer.Option("--from", metavar="FOLDER", help="The images. They stay where they are.")
    ],
    samples: Annotated[
        int | None, typer.Option("--samples", metavar="N", help="Choose N of them.", show_default="all")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of the choice.")] = 0,
    description: Annotated[
        str, typer.Option("--description", metavar="TEXT", help="One line about them.")
    ] = "",
    licence: Annotated[
        str, typer.Option("--licence", metavar="TEXT", help="What they may be used for.")
    ] = "not stated",
    like: Annotated[
        Path | None,
        typer.Option(
            "--like", metavar="ARTIFACT", help="Only for networks with this exported file's preprocessing."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Write a recipe of the images in a folder, with a hash of each."""
    from edgekit import manifest
    from edgekit.quantize.recipe import create_recipe  # brings numpy, which --help does without

    preprocessing = None if like is None else manifest.of_artifact(like)[0].preprocessing
    created = create_recipe(
        *(name, folder, samples, seed),
        licence=licence,
        description=description,
        preprocessing=preprocessing,
    )
    for image in created.skipped:
        console.warn(f"skipped {image.path}: {image.reason}")
    if json:
        console.print_json({**_to_json(created.recipe), "path": created.path.as_posix()})
    else:
        console.print_line(
            f"{created.path}: {counted(created.recipe.count, 'image')}, for --calibration {name}"
        )


@app.command("curve")
def _curve(
    model: Model,
    folder: Annotated[Path, typer.Option("--from", metavar="FOLDER", help="Photographs to calibrate on.")],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="FOLDER",
            help="Images to judge on; they need no labels.",
            show_default="50 of --from that do not calibrate",
        ),
    ] = None,
    counts: Annotated[
        str, typer.Option("--counts", metavar="N,N,...", help="Numbers of images to try.")
    ] = "1,4,16,64,250",
    weights: Weights = "auto",
    width: Width = None,
    depth: Depth = None,
    resolution: Resolution = None,
    num_classes: NumClasses = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of the choice of images.")] = 0,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw the curves: .svg, .png or .html.")
    ] = None,
    json: Json = False,
) -> None:
    """How int8's accuracy grows with the number of calibration images, real and generated ones."""
    from edgekit.calibration_curve import calibration_curve  # brings the frameworks

    options = ExportOptions(
        weights=weights, seed=seed, scale=ScaleChange(width, depth, resolution, num_classes)
    )
    with watch() as progress:
        result = calibration_curve(
            model, folder, data, counts=_numbers(counts), options=options, progress=progress
        )
    for warning in result.warnings:
        console.warn(warning)
    if plot is not None:
        from edgekit.report import curve  # nothing is drawn otherwise

        points = [curve.CountPoint(**vars(point)) for point in result.points]
        curve.draw(plot, points, title=f"{result.model}, int8")
    if json:
        console.print_json(result.to_json())
    else:
        _print_curve(result)


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as exc:
        raise InputError(f"--counts is {text!r}, expected numbers", hint="try --counts 1,4,16") from exc


def _print_curve(result: CalibrationCurve) -> None:
    console.print_table(
        _CURVE_COLUMNS,
        [
            (point.source, str(point.images), f"{point.agreement:.1f}", f"{point.sqnr_db:.1f}")
            for point in result.points
        ],
    )
    console.print_line()
    console.print_line(
        f"Judged on {counted(result.judged_on, 'other image')}. "
        f"{result.enough('photographs')} photographs come within "
        f"0.3 dB of the best, of generated images {result.enough('generated')}."
    )


def _to_json(recipe: Recipe) -> dict[str, Any]:
    return {
        "name": recipe.name,
        "description": recipe.description,
        "licence": recipe.licence,
        "count": recipe.count,
        "seed": recipe.seed,
        "generator": recipe.generator,
        "folder": recipe.folder,
    }
