"""Recipes: the same images or an error."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.errors import ImageError, InputError, OutputError, UnknownNameError
from edgekit.options import Preprocessing
from edgekit.quantize.calibration import DEFAULT_RECIPE, from_recipe
from edgekit.quantize.recipe import create_recipe, image_set, list_recipes, load_recipe, verified_files
from small_models import save_images

SMALL = Preprocessing(resize_short_side=16, crop=16)


@pytest.fixture(autouse=True)
def _config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEKIT_CONFIG", str(tmp_path / "config"))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    rng = np.random.default_rng(0)
    for i in range(10):
        path = folder / f"class{i % 2}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(path)
    return folder


def test_every_shipped_recipe_loads_and_yields_images(checkout: Path) -> None:
    shipped = {path.stem for path in (checkout / "calibration").glob("*.toml")}
    recipes = {recipe.name: recipe for recipe in list_recipes()}
    assert DEFAULT_RECIPE in shipped <= set(recipes)
    for name in shipped:
        data = from_recipe(name, SMALL, samples=2)
        assert [batch.shape for batch in data] == [(1, 3, 16, 16)] * 2
        assert recipes[name].licence


def test_a_created_recipe_is_found_by_name_and_gives_the_files(photos: Path) -> None:
    created = create_recipe("mine", photos, 6, licence="CC0-1.0", preprocessing=SMALL)
    loaded = load_recipe("mine")
    assert loaded == created.recipe
    assert "mine" in [recipe.name for recipe in list_recipes()]
    files = verified_files(loaded)
    assert len(files) == loaded.count == 6
    assert {path.parent.name for path in files} == {"class0", "class1"}
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    assert hashes == [file.sha256 for file in loaded.files]
    data = from_recipe("mine", SMALL)
    assert sorted(data.files) == sorted(files)
    assert data.description == "6 images of recipe mine"


def test_the_same_seed_writes_the_same_recipe(photos: Path, tmp_path: Path) -> None:
    texts = [
        create_recipe("mine", photos, 4, seed, destination=tmp_path / str(i)).path.read_text()
        for i, seed in enumerate((3, 3, 4))
    ]
    assert texts[0] == texts[1] != texts[2]


def test_a_folder_may_be_relative_to_the_recipe(photos: Path) -> None:
    created = create_recipe("mine", photos, 2, destination=photos.parent)
    moved = created.path.read_text().replace(f'"{photos.as_posix()}"', f'"{photos.name}"')
    created.path.write_text(moved)
    assert load_recipe(created.path).folder == str(photos)


def test_unreadable_images_are_left_out_and_named(photos: Path) -> None:
    broken = photos / "class0" / "0.png"
    broken.write_bytes(broken.read_bytes()[:50])
    created = create_recipe("mine", photos)
    assert created.recipe.count == 9
    assert [skipped.path for skipped in created.skipped] == [broken]
    with pytest.raises(InputError, match="10 images were asked for, but 9 of 10"):
        create_recipe("more", photos, 10)


def test_missing_and_changed_files_are_named(photos: Path) -> None:
    recipe = create_recipe("mine", photos).recipe
    (photos / "class0" / "2.png").write_bytes(b"other")
    with pytest.raises(ImageError, match=r"1 of 10 images of recipe 'mine' are changed: 2\.png"):
        verified_files(recipe)
    (photos / "class1" / "3.png").unlink()
    with pytest.raises(ImageError, match=r"1 of 10 images of recipe 'mine' are missing: 3\.png") as caught:
        from_recipe("mine", SMALL)
    assert "photos" in caught.value.hint


def test_a_recipe_for_another_preprocessing_is_refused(photos: Path) -> None:
    create_recipe("mine", photos, preprocessing=SMALL)
    with pytest.raises(InputError, match=r"crop 224 instead of 16"):
        from_recipe("mine", Preprocessing())
    create_recipe("any", photos)
    assert len(from_recipe("any", SMALL)) == 10


def test_names_are_checked_and_not_overwritten(photos: Path) -> None:
    create_recipe("mine", photos, 1)
    with pytest.raises(InputError, match="exists"):
        create_recipe("mine", photos, 2)
    assert create_recipe("mine", photos, 2, overwrite=True).recipe.count == 2
    for name in ("", "../up", "a/b", ".hidden"):
        with pytest.raises(InputError, match="cannot name a recipe"):
            create_recipe(name, photos)


def test_an_unwritable_destination_is_an_output_error(photos: Path) -> None:
    with pytest.raises(OutputError):
        create_recipe("mine", photos, 1, destination=photos / "class0" / "0.png")


def test_unknown_names_offer_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        load_recipe("naturel")
    assert "natural" in caught.value.hint


HEAD = 'name = "bad"\ndescription = ""\nlicence = ""\nseed = 0\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "count = 1", "either a generator or a folder"),
        (HEAD + 'count = 0\ngenerator = "dead_leaves"', "count is 0"),
        (HEAD + 'count = 1\ngenerator = "white_noise"', "generator"),
        (HEAD + 'count = 1\nfolder = "x"', "folder together with its files"),
        (HEAD + 'count = 2\nfolder = "x"\nfiles = [{path = "a", sha256 = "b"}]', "count is 2, expected 1"),
        (HEAD + 'count = 1\ngenerator = "dead_leaves"\nsize = 3', "size"),
        (HEAD.replace("seed = 0", "seed = -1") + 'count = 1\ngenerator = "dead_leaves"', "seed is -1"),
        (HEAD.replace("bad", "good") + 'count = 1\ngenerator = "dead_leaves"', "names itself 'good'"),
        ("name = [", "cannot be used"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused_with_the_reason(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        load_recipe(path)


def test_a_recipe_names_images_to_evaluate_on_too(tmp_path: Path) -> None:
    folder = save_images(tmp_path / "images", range(6))
    created = create_recipe("some", folder, 3, destination=tmp_path)
    assert image_set(folder, Preprocessing()) == (folder, None)
    found, files = image_set(created.path, Preprocessing())
    assert found == folder.resolve()
    assert files == frozenset(folder.resolve() / file.path for file in created.recipe.files)


def test_a_recipe_of_another_network_or_without_photographs_evaluates_nothing(tmp_path: Path) -> None:
    folder = save_images(tmp_path / "images", range(3))
    bound = create_recipe("bound", folder, preprocessing=Preprocessing(crop=32), destination=tmp_path)
    with pytest.raises(InputError, match="made for another preprocessing"):
        image_set(bound.path, Preprocessing())
    with pytest.raises(InputError, match="are generated, so they show no classes"):
        image_set(Path("natural"), Preprocessing())
