"""Images against an independent reading of the same rules, in every mode, broken and whole."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from edgekit.errors import ImageError, InputError
from edgekit.images import (
    SkippedImage,
    find_images,
    labelled_images,
    load_image,
    load_pixels,
    normalize,
    stream_pixels,
    to_batch,
)
from edgekit.options import Preprocessing

SMALL = Preprocessing(resize_short_side=32, crop=24)
GRAY = Preprocessing(resize_short_side=32, crop=24, color="L", mean=(0.5,), std=(0.25,))


def gradient(width: int, height: int) -> npt.NDArray[np.uint8]:
    y, x = np.mgrid[:height, :width]
    channels = [x * 255 // max(1, width - 1), y * 255 // max(1, height - 1), (x + y) * 7 % 256]
    return np.stack(channels, axis=-1).astype(np.uint8)


def save(path: Path, image: Image.Image | npt.NDArray[np.uint8], **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(path, **options)  # type: ignore[arg-type]
    return path


def resized_and_cropped(
    image: Image.Image, short_side: int, crop: int, resample: int
) -> npt.NDArray[np.uint8]:
    """The rule once more: the short side to a length, the middle of what that gives."""
    factor = short_side / min(image.width, image.height)
    wanted = round(image.width * factor), round(image.height * factor)
    array = np.asarray(image if wanted == image.size else image.resize(wanted, resample))
    top, left = (array.shape[0] - crop) // 2, (array.shape[1] - crop) // 2
    return array[top : top + crop, left : left + crop]


@pytest.mark.parametrize("filter_name", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(341, 256), (256, 256), (500, 375), (37, 91), (10, 7), (1, 5), (33, 32)])
def test_resize_and_crop_equal_an_independent_reading(
    tmp_path: Path, size: tuple[int, int], filter_name: str
) -> None:
    path = save(tmp_path / "a.png", gradient(*size))
    preprocessing = Preprocessing(256, filter_name, 224)  # type: ignore[arg-type]
    resample = {"bilinear": 2, "bicubic": 3}[filter_name]
    with Image.open(path) as image:
        expected = resized_and_cropped(image.convert("RGB"), 256, 224, resample)
    np.testing.assert_array_equal(load_pixels(path, preprocessing), expected)


def test_normalization_is_bit_for_bit_that_of_the_manifest(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", gradient(60, 40))
    pixels = load_pixels(path, SMALL)
    expected = (pixels.astype(np.float32) / 255 - np.asarray(SMALL.mean, np.float32)) / np.asarray(
        SMALL.std, np.float32
    )
    image = load_image(path, SMALL)
    assert image.dtype == np.float32
    np.testing.assert_array_equal(image, expected)
    batch = to_batch(image)
    assert batch.shape == (1, 3, 24, 24)
    assert batch.flags.c_contiguous
    np.testing.assert_array_equal(batch[0, 2], image[..., 2])


def test_normalization_of_the_papers_formula(tmp_path: Path) -> None:
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    preprocessing = Preprocessing(mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
    expected = (pixels.astype(np.float64) - 127) / 128
    np.testing.assert_allclose(normalize(pixels, preprocessing), expected, atol=1e-6)


def test_photographs_read_as_the_scoring_tool_reads_them(shared_dir: Path) -> None:
    path = sorted((shared_dir / "images" / "calibration").glob("*.jpg"))[7]
    with Image.open(path) as image:
        expected = resized_and_cropped(image.convert("RGB"), 256, 224, 3)
    np.testing.assert_array_equal(load_pixels(path, Preprocessing()), expected)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I"])
@pytest.mark.parametrize("preprocessing", [SMALL, GRAY], ids=["rgb", "gray"])
def test_every_mode_becomes_what_the_network_takes(
    tmp_path: Path, mode: str, preprocessing: Preprocessing
) -> None:
    gray = Image.fromarray(gradient(40, 40)).convert("L")
    if mode.startswith("I"):
        wide = np.asarray(gray).astype(np.uint16) * 257
        image = Image.fromarray(wide if mode == "I;16" else wide.astype(np.int32))
    else:
        image = gray.convert(mode) if mode in {"LA", "P"} else gray.convert("RGB").convert(mode)
    path = save(tmp_path / "a.tif", image)
    pixels = load_pixels(path, preprocessing)
    channels = 3 if preprocessing.color == "RGB" else 1
    assert pixels.shape == (24, 24, channels)
    assert pixels.dtype == np.uint8
    if mode != "1":
        expected = resized_and_cropped(gray, 32, 24, 3)
        assert np.abs(pixels.astype(int) - expected[..., None]).mean() < 4


def test_16_bit_pixels_keep_their_high_byte(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    path = save(tmp_path / "a.png", Image.fromarray(values))
    plain = Preprocessing(resize_short_side=32, crop=32, color="L", mean=(0,), std=(1,))
    expected = np.rint(values / 257.0)
    np.testing.assert_array_equal(load_pixels(path, plain)[..., 0], expected)


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    hidden = np.zeros((32, 32, 4), np.uint8)
    assert (load_pixels(save(tmp_path / "rgba.png", hidden), SMALL) == 255).all()
    palette = Image.new("P", (32, 32), 5)
    palette.putpalette([0] * 768)
    assert (load_pixels(save(tmp_path / "p.png", palette, transparency=5), SMALL) == 255).all()
    assert (load_pixels(save(tmp_path / "la.png", Image.new("LA", (32, 32), (0, 0))), GRAY) == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((32, 32, 3), np.uint8)
    upright[:16, :16] = (255, 0, 0)
    upright[:16, 16:] = (0, 255, 0)
    upright[16:, :16] = (0, 0, 255)
    # How a camera stores the upright picture so that this orientation brings it back (TIFF 6.0, tag 274).
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    path = save(tmp_path / "a.png", np.ascontiguousarray(stored), exif=exif)
    np.testing.assert_array_equal(load_pixels(path, Preprocessing(32, "bicubic", 32)), upright)


def test_only_the_first_frame_of_an_animation_counts(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (32, 32), color) for color in ("red", "blue")]
    path = save(tmp_path / "a.gif", frames[0], save_all=True, append_images=frames[1:])
    assert (load_pixels(path, SMALL) == (255, 0, 0)).all()


def test_floating_point_pixels_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", Image.fromarray(np.zeros((32, 32), np.float32)))
    with pytest.raises(ImageError, match="floating-point"):
        load_pixels(path, SMALL)


def test_a_crop_larger_than_the_short_side_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", gradient(32, 32))
    with pytest.raises(InputError, match="crop of 40 pixels"):
        load_pixels(path, Preprocessing(resize_short_side=32, crop=40))


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_decompression_bomb_is_refused(tmp_path: Path, side: int) -> None:
    path = tmp_path / "bomb.ppm"
    path.write_bytes(b"P6 %d %d 255\n" % (side, side))
    with pytest.raises(ImageError, match=r"bomb\.ppm cannot be read as an image: .*exceeds limit"):
        load_pixels(path, SMALL)


def test_a_sliver_that_would_be_resized_to_gigabytes_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "sliver.png", gradient(1, 5000))
    with pytest.raises(ImageError, match="too far from a square"):
        load_pixels(path, Preprocessing())


def test_another_format_behind_an_image_suffix_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (32, 32)).save(stream, "EPS")
    (tmp_path / "a.jpg").write_bytes(stream.getvalue())
    with pytest.raises(ImageError, match="not an image of a known format"):
        load_pixels(tmp_path / "a.jpg", SMALL)


ENCODED = {}
for _format in ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP"):
    _stream = io.BytesIO()
    Image.fromarray(gradient(40, 33)).save(_stream, _format)
    ENCODED[_format] = _stream.getvalue()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(ENCODED)),
    keep=st.floats(0, 1),
    damage=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=4),
)
def test_a_damaged_file_is_an_image_or_an_image_error(
    tmp_path: Path, name: str, keep: float, damage: list[tuple[float, int]]
) -> None:
    data = bytearray(ENCODED[name])
    for place, value in damage:
        data[int(place * len(data))] = value
    path = tmp_path / "damaged"
    path.write_bytes(data[: int(len(data) * keep)])
    try:
        pixels = load_pixels(path, SMALL)
    except ImageError:
        return
    assert pixels.shape == (24, 24, 3)


@pytest.mark.parametrize("name", sorted(ENCODED))
def test_a_truncated_file_is_an_image_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / "cut"
    path.write_bytes(ENCODED[name][:60])
    with pytest.raises(ImageError, match="cut cannot be read"):
        load_pixels(path, SMALL)


def test_streaming_names_what_it_skips(tmp_path: Path) -> None:
    good = save(tmp_path / "b.png", gradient(40, 40))
    broken = tmp_path / "a.jpg"
    broken.write_bytes(b"nothing")
    skipped: list[SkippedImage] = []
    assert [path for path, _ in stream_pixels([broken, good], SMALL, skipped)] == [good]
    assert skipped == [SkippedImage(broken, "not an image of a known format")]


def test_nothing_readable_is_an_error_that_names_the_first_files(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for path in paths[1:]:
        path.write_bytes(b"")
    with pytest.raises(
        ImageError, match=r"none of 5 images can be read: 0\.png, 1\.png, 2\.png, …"
    ) as caught:
        list(stream_pixels(paths, SMALL, []))
    assert "No such file" in caught.value.hint


def test_finding_is_recursive_sorted_and_passes_over_the_hidden(tmp_path: Path) -> None:
    for name in ("b/2.JPG", "b/1.png", "a.webp", "notes.txt", ".hidden.jpg", ".thumbs/3.png", "c.jpeg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in find_images(tmp_path)]
    assert found == ["a.webp", "b/1.png", "b/2.JPG", "c.jpeg"]


def test_finding_in_a_hidden_folder_that_was_named_works(tmp_path: Path) -> None:
    path = save(tmp_path / ".data" / "a.png", gradient(8, 8))
    assert find_images(tmp_path / ".data") == [path]


def test_folders_without_images_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="does not exist"):
        find_images(tmp_path / "nowhere")
    with pytest.raises(ImageError, match="is a file"):
        find_images(save(tmp_path / "a.png", gradient(8, 8)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImageError, match="holds no image") as caught:
        find_images(str(tmp_path / "empty"))
    assert ".jpg" in caught.value.hint


def _touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def _labels(folder: Path, labels: list[str] | None = None) -> dict[str, int]:
    return {path.relative_to(folder).as_posix(): index for path, index in labelled_images(folder, labels)}


def test_labels_from_file_names(tmp_path: Path) -> None:
    _touch(tmp_path, "0004_n01494475_hammerhead.jpg", "281_cat.jpg")
    assert _labels(tmp_path) == {"0004_n01494475_hammerhead.jpg": 4, "281_cat.jpg": 281}


def test_labels_from_subfolders(tmp_path: Path) -> None:
    assert _labels(_touch(tmp_path / "names", "dog/1.jpg", "cat/x/2.jpg")) == {
        "cat/x/2.jpg": 0,
        "dog/1.jpg": 1,
    }
    assert _labels(_touch(tmp_path / "numbers", "10/1.jpg", "9/2.jpg")) == {"10/1.jpg": 10, "9/2.jpg": 9}
    known = ["bird", "cat", "dog"]
    assert _labels(_touch(tmp_path / "some", "dog/1.jpg"), known) == {"dog/1.jpg": 2}


def test_images_without_a_class_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"1 of 2 images in .* have no class: cat\.jpg"):
        labelled_images(_touch(tmp_path / "a", "0001_dog.jpg", "cat.jpg"))
    with pytest.raises(ImageError, match="1 of 2 images"):
        labelled_images(_touch(tmp_path / "b", "0001_dog.jpg", "cat/1.jpg"))
    with pytest.raises(ImageError, match="subfolders are not named as a class: cow") as caught:
        labelled_images(_touch(tmp_path / "c", "cow/1.jpg", "cat/1.jpg"), ["cat", "dog"])
    assert "cat, dog" in caught.value.hint
