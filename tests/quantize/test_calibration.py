"""Calibration data: repeatable passes, honest counts, bounded memory."""

from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekit.errors import ImageError, InputError, UnknownNameError
from edgekit.images import load_image, to_batch
from edgekit.options import CalibrationSet, Preprocessing
from edgekit.quantize import calibration
from edgekit.quantize.calibration import CalibrationData, from_folder, open_source, synthetic
from edgekit.quantize.recipe import create_recipe

SMALL = Preprocessing(resize_short_side=40, crop=32)
GRAY = Preprocessing(resize_short_side=32, crop=32, color="L", mean=(0.5,), std=(0.25,))


def write_images(folder: Path, count: int, size: int = 48) -> Path:
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(count):
        Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(folder / f"{i:03}.bmp")
    return folder


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_images(tmp_path / "photos", 20)


@pytest.mark.parametrize("cache_bytes", [0, 5 * 32 * 32 * 3, 2**20])
def test_every_pass_yields_the_same_preprocessed_images(
    photos: Path, monkeypatch: pytest.MonkeyPatch, cache_bytes: int
) -> None:
    monkeypatch.setattr(calibration, "CACHE_BYTES", cache_bytes)
    data = from_folder(photos, SMALL, samples=8)
    passes = [list(data), list(data)]
    assert len(data) == len(passes[0]) == len(set(data.files)) == 8
    for first, second, path in zip(*passes, data.files, strict=True):
        assert first.dtype == np.float32
        np.testing.assert_array_equal(first, to_batch(load_image(path, SMALL)))
        np.testing.assert_array_equal(first, second)


def test_images_within_the_cache_are_decoded_once(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = from_folder(photos, SMALL, samples=20)
    for path in data.files:
        path.unlink()
    assert len(list(data)) == 20
    monkeypatch.setattr(calibration, "CACHE_BYTES", 0)
    generated = synthetic(SMALL, 2)
    np.testing.assert_array_equal(list(generated), list(generated))


def test_the_choice_is_seeded_and_spread(photos: Path) -> None:
    picked = [sorted(from_folder(photos, SMALL, 5, seed).files) for seed in (0, 0, 1)]
    assert picked[0] == picked[1] != picked[2]
    assert [int(path.stem) // 4 for path in picked[0]] == [0, 1, 2, 3, 4]


def test_the_count_is_stated_and_never_silently_less(photos: Path) -> None:
    assert from_folder(photos, SMALL, 5).description == f"5 of 20 images in {photos}"
    assert from_folder(photos, SMALL, 20).description == f"20 images in {photos}"
    assert from_folder(photos, SMALL, 50).description == f"20 images in {photos} (50 were asked for)"
    assert "100 generated images" in synthetic(SMALL).description
    assert "no photographs" in synthetic(SMALL).description


def test_the_same_images_have_the_same_identity(photos: Path, tmp_path: Path) -> None:
    identities = [from_folder(photos, SMALL, 5, seed).identity for seed in (0, 0, 1)]
    assert identities[0] == identities[1]
    assert identities[0].sha256 != identities[2].sha256
    assert (identities[0].kind, identities[0].name, identities[0].images) == ("folder", photos.name, 5)
    hashes = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in photos.iterdir())
    whole = from_folder(photos, SMALL, 50).identity
    assert whole.sha256 == hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    create_recipe("shelf", photos, destination=tmp_path)
    recipe = open_source(tmp_path / "shelf.toml", SMALL).identity
    assert (recipe.kind, recipe.name, recipe.sha256) == ("recipe", "shelf", whole.sha256)
    assert synthetic(SMALL, 3, seed=7).identity == CalibrationSet("generated", "dead_leaves", 3, 7)


def test_unreadable_images_are_replaced_named_and_counted(photos: Path) -> None:
    for i in range(0, 20, 2):
        (photos / f"{i:03}.bmp").write_bytes(b"BM broken")
    data = from_folder(photos, SMALL, 10)
    assert len(list(data)) == 10
    assert {int(path.stem) % 2 for path in data.files} == {1}
    assert data.skipped
    assert all(int(image.path.stem) % 2 == 0 and image.reason for image in data.skipped)
    assert f"{len(data.skipped)} could not be read" in data.description
    fewer = from_folder(photos, SMALL, 15)
    assert fewer.description.endswith("(15 were asked for, 10 could not be read)")


def test_nothing_readable_is_an_error(photos: Path) -> None:
    for path in photos.iterdir():
        path.write_bytes(b"")
    with pytest.raises(ImageError, match="none of 20 images can be read"):
        from_folder(photos, SMALL, 5)


def test_held_back_images_are_others(photos: Path) -> None:
    data = from_folder(photos, SMALL, 12)
    held = data.held_back(100)
    assert held is not None
    assert sorted(data.files + held.files) == sorted(photos.iterdir())
    assert held.held_back(1) is None
    first, second = synthetic(SMALL, 3), synthetic(SMALL, 3).held_back(3)
    assert second is not None
    images = np.concatenate([*first, *second])
    assert len(np.unique(images.reshape(6, -1), axis=0)) == 6


def test_grayscale_networks_get_one_channel(photos: Path) -> None:
    for data in (from_folder(photos, GRAY, 2), synthetic(GRAY, 2)):
        assert [batch.shape for batch in data] == [(1, 1, 32, 32)] * 2
    color = next(iter(synthetic(Preprocessing(32, "bicubic", 32, "RGB", (0,) * 3, (1 / 255,) * 3), 1)))
    expected = Image.fromarray(np.rint(color[0]).astype(np.uint8).transpose(1, 2, 0)).convert("L")
    gray = next(iter(synthetic(GRAY, 1)))[0, 0] * 0.25 * 255 + 127.5
    assert np.abs(gray - np.asarray(expected, np.float64)).max() <= 1.01


def test_progress_counts_to_the_number_of_images(photos: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    from_folder(photos, SMALL, 3, progress=lambda stage, done, total: seen.append((stage, done, total)))
    assert seen == [("images", 1, 3), ("images", 2, 3), ("images", 3, 3)]


@pytest.mark.parametrize(("samples", "seed"), [(0, 0), (-1, 0), (5, -1)])
def test_numbers_that_mean_nothing_are_refused(photos: Path, samples: int, seed: int) -> None:
    with pytest.raises(InputError, match="expected at least"):
        from_folder(photos, SMALL, samples, seed)
    with pytest.raises(InputError, match="expected at least"):
        synthetic(SMALL, samples, seed)


def test_a_source_is_a_recipe_a_folder_or_the_default(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_source(None, SMALL, 3).is_synthetic
    assert len(open_source(None, SMALL)) == 100
    assert open_source(photos, SMALL, 3).description == f"3 of 20 images in {photos}"
    recipe = create_recipe("mine", photos, 4, destination=photos.parent)
    assert len(open_source(recipe.path, SMALL)) == 4
    monkeypatch.chdir(photos.parent)
    assert len(open_source("photos", SMALL)) == 20
    (photos.parent / "natural").mkdir()
    assert open_source("natural", SMALL, 1).is_synthetic
    with pytest.raises(ImageError, match="holds no image"):
        open_source("./natural", SMALL, 1)
    with pytest.raises(ImageError, match="does not exist"):
        open_source("no/where", SMALL, 1)
    with pytest.raises(UnknownNameError) as caught:
        open_source("naturl", SMALL, 1)
    assert "natural" in caught.value.hint


def _peak_bytes(data: CalibrationData) -> int:
    tracemalloc.start()
    try:
        for _ in range(2):
            for batch in data:
                batch.sum()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_number_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "CACHE_BYTES", 20 * 32 * 32 * 3)
    few, many = (write_images(tmp_path / str(count), count, size=40) for count in (50, 400))
    generated = [_peak_bytes(synthetic(SMALL, count)) for count in (3, 12)]
    read = [_peak_bytes(from_folder(folder, SMALL, 400)) for folder in (few, many)]
    assert read[1] < 1.2 * read[0] + 50_000
    assert generated[1] < 1.2 * generated[0] + 50_000 + 9 * 32 * 32 * 3


def test_construction_keeps_no_more_than_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "CACHE_BYTES", 10 * 32 * 32 * 3)
    folder = write_images(tmp_path / "many", 300, size=40)
    tracemalloc.start()
    try:
        data = from_folder(folder, SMALL, 300)
        kept = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(data) == 300
    assert kept < 300 * 32 * 32 * 3 / 2
