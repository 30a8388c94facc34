"""``edgekit calibration``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekit.cli import console
from edgekit.cli.arguments import Json
from edgekit.cli.console import Column

if TYPE_CHECKING:
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
    json: Json = False,
) -> None:
    """Write a recipe of the images in a folder, with a hash of each."""
    from edgekit.quantize.recipe import create_recipe  # brings numpy, which --help does without

    created = create_recipe(name, folder, samples, seed, licence=licence, description=description)
    for image in created.skipped:
        console.warn(f"skipped {image.path}: {image.reason}")
    if json:
        console.print_json({**_to_json(created.recipe), "path": created.path.as_posix()})
    else:
        console.print_line(f"{created.path}: {created.recipe.count} images, for --calibration {name}")


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
