"""Calibration recipes: a named set of images that can be had again, one TOML file each.

A recipe either names the generator of :mod:`edgekit.quantize.synthetic`, or lists files of a folder with
their SHA-256 hashes, so that the same recipe is the same images or an error. Images are not copied: the
recipe belongs to whoever holds the folder.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import msgspec

from edgekit import resources
from edgekit.errors import ImageError, InputError
from edgekit.files import sha256_of, write_atomically
from edgekit.images import SkippedImage, find_images, stream_pixels
from edgekit.options import Preprocessing
from edgekit.quantize.sampling import spread

__all__ = [
    "CreatedRecipe",
    "Recipe",
    "RecipeFile",
    "check_preprocessing",
    "create_recipe",
    "image_set",
    "list_recipes",
    "load_recipe",
    "verified_files",
]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class RecipeFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One image: its path below the recipe's folder, with ``/``, and the SHA-256 of its bytes."""

    path: str
    sha256: str


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a recipe's file says; either ``generator``, or ``folder`` and ``files``.

    ``count`` images are used, those of series ``seed`` where they are generated. ``folder`` may be
    relative to the recipe's file. ``preprocessing`` is set when the images were chosen for one network;
    another network then refuses them. Without it, they follow the network's own.
    """

    name: str
    description: str
    licence: str
    seed: int
    count: int
    generator: Literal["dead_leaves"] | None = None
    folder: str | None = None
    preprocessing: Preprocessing | None = None
    files: tuple[RecipeFile, ...] = ()

    def __post_init__(self) -> None:
        if (self.generator is None) == (self.folder is None):
            raise ValueError("expected either a generator or a folder")
        if (self.folder is None) != (not self.files):
            raise ValueError("expected a folder together with its files")
        if self.count < 1 or (self.files and self.count != len(self.files)):
            raise ValueError(f"count is {self.count}, expected {len(self.files) or 'at least 1'}")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}, expected at least 0")


@dataclass(frozen=True)
class CreatedRecipe:
    """A new recipe, the file it was written to, and the images that could not be read."""

    recipe: Recipe
    path: Path
    skipped: tuple[SkippedImage, ...]


def list_recipes() -> list[Recipe]:
    """Every recipe that can be named, the user's own included, sorted by name."""
    return [load_recipe(name) for name in resources.names("calibration")]


def load_recipe(name: str | Path) -> Recipe:
    """The recipe of that name, or in that TOML file; its ``folder`` is absolute.

    Raises UnknownNameError for a name that is nowhere, and InputError for a file that is no recipe.
    """
    path = resources.find("calibration", name)
    recipe = resources.read_toml(path, Recipe)
    if recipe.name != path.stem:
        raise InputError(f"{path} names itself {recipe.name!r}, expected {path.stem!r} as the file does")
    if recipe.folder is None:
        return recipe
    return msgspec.structs.replace(recipe, folder=str((path.parent / recipe.folder).resolve()))


def create_recipe(
    name: str,
    folder: Path | str,
    samples: int | None = None,
    seed: int = 0,
    *,
    licence: str = "not stated",
    description: str = "",
    preprocessing: Preprocessing | None = None,
    destination: Path | None = None,
    overwrite: bool = False,
) -> CreatedRecipe:
    """Choose ``samples`` readable images of ``folder`` (``None``: all) and write them down as a recipe.

    It is written to the folder ``destination``, by default the user's own, where
    :func:`load_recipe` finds it by name. ``preprocessing`` binds it to networks that have the same.
    Raises InputError for a name that cannot be a file's or is taken (unless ``overwrite``), or when there
    are fewer images than asked for, ImageError when none is readable, OutputError when it cannot be
    written.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} cannot name a recipe, expected letters, digits, '.', '-' and '_'")
    path = (destination or resources.user_folder("calibration")) / f"{name}.toml"
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists", hint="choose another name, or overwrite it")
    folder = Path(folder).resolve()
    chosen, skipped = _choose(find_images(folder), samples, seed, preprocessing or Preprocessing())
    files = tuple(
        RecipeFile(path=file.relative_to(folder).as_posix(), sha256=_sha256(file)) for file in chosen
    )
    recipe = Recipe(
        name=name,
        description=description or f"{len(files)} images of {folder.name}",
        licence=licence,
        seed=seed,
        count=len(files),
        folder=folder.as_posix(),
        preprocessing=preprocessing,
        files=files,
    )
    write_atomically(path, msgspec.toml.encode(recipe))
    return CreatedRecipe(recipe, path, skipped)


def verified_files(recipe: Recipe) -> list[Path]:
    """The files of a loaded recipe, each found and unchanged; none for a generator's.

    Raises ImageError that names the first files that are missing or whose hash differs.
    """
    if recipe.folder is None:
        return []
    paths = {Path(recipe.folder, file.path): file.sha256 for file in recipe.files}
    _refuse(recipe, "missing", [path for path in paths if not path.is_file()])
    _refuse(recipe, "changed", [path for path, sha256 in paths.items() if _sha256(path) != sha256])
    return list(paths)


def image_set(data: Path, preprocessing: Preprocessing) -> tuple[Path, frozenset[Path] | None]:
    """The folder that ``data`` is, or that the recipe of that name lists, and then only those files of it.

    A folder goes before a recipe of the same name. Raises what :func:`verified_files` and
    :func:`check_preprocessing` raise, and InputError for a recipe whose images are generated.
    """
    is_recipe_file = data.suffix == ".toml" and data.is_file()
    if not is_recipe_file and (data.exists() or str(data) not in resources.names("calibration")):
        return data, None
    recipe = load_recipe(data if is_recipe_file else str(data))
    check_preprocessing(recipe, preprocessing)
    if recipe.folder is None:
        raise InputError(
            f"the images of recipe {recipe.name} are generated, so they show no classes",
            hint="give a folder of labelled images",
        )
    return Path(recipe.folder), frozenset(verified_files(recipe))


def check_preprocessing(recipe: Recipe, preprocessing: Preprocessing) -> None:
    """Raise InputError for a recipe that was made for networks of another preprocessing."""
    own = recipe.preprocessing
    if own is None or own == preprocessing:
        return
    differing = [
        f"{field} {value} instead of {vars(own)[field]}"
        for field, value in vars(preprocessing).items()
        if value != vars(own)[field]
    ]
    raise InputError(
        f"recipe {recipe.name!r} was made for another preprocessing: the network has {', '.join(differing)}",
        hint="create a recipe for this network, or one without preprocessing",
    )


def _choose(
    paths: Sequence[Path], samples: int | None, seed: int, preprocessing: Preprocessing
) -> tuple[list[Path], tuple[SkippedImage, ...]]:
    skipped: list[SkippedImage] = []
    wanted = len(paths) if samples is None else samples
    candidates = (paths[i] for i in spread(len(paths), wanted, seed))
    chosen = [path for path, _ in islice(stream_pixels(candidates, preprocessing, skipped), wanted)]
    if samples is not None and len(chosen) < samples:
        raise InputError(
            f"{samples} images were asked for, but {len(chosen)} of {len(paths)} can be used",
            hint="ask for fewer, or leave the number out to take them all",
        )
    return sorted(chosen), tuple(skipped)


def _refuse(recipe: Recipe, state: str, paths: Sequence[Path]) -> None:
    if paths:
        names = ", ".join(path.name for path in paths[:3]) + (", …" if len(paths) > 3 else "")
        raise ImageError(
            f"{len(paths)} of {recipe.count} images of recipe {recipe.name!r} are {state}: {names}",
            hint=f"restore them in {recipe.folder}, or create the recipe anew",
        )


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as exc:
        raise ImageError(f"{path} cannot be read: {exc.strerror or exc}") from exc
