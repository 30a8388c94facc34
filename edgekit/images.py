"""Image files as a network sees them: found, decoded, resized, cropped and normalized.

Everything that reads images (calibration, evaluation, verification, comparison) reads them here, by the
:class:`~edgekit.options.Preprocessing` that the weights carry and the manifest states.

Whatever Pillow opens becomes 8-bit RGB, or grayscale for a network of color ``L``:

- the EXIF orientation is applied first;
- transparency is laid over white, the background that such pictures are drawn for;
- 16-bit grayscale keeps its high byte, rounded; of an animation the first frame counts;
- floating-point pixels are refused, for their range is not defined.
"""

from __future__ import annotations

import re
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from edgekit.errors import ImageError, InputError
from edgekit.options import Preprocessing

__all__ = [
    "SUFFIXES",
    "SkippedImage",
    "class_folders",
    "find_images",
    "labelled_images",
    "load_image",
    "load_pixels",
    "normalize",
    "stream_pixels",
    "to_batch",
]

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".pgm", ".tif", ".tiff", ".webp"})
"""What :func:`find_images` takes for an image, in lower case."""

PixelArray = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]

_MOST_PIXELS = 90_000_000
# Named, because Pillow goes by content: it would hand a PostScript file called .jpg to an interpreter.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
_CLASS_PREFIX = re.compile(r"(\d+)_")
# What Pillow's decoders let through for files that are truncated, corrupt or made to exhaust memory.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    NotImplementedError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


@dataclass(frozen=True)
class SkippedImage:
    """A file that could not be used, and why."""

    path: Path
    reason: str


def find_images(folder: Path | str) -> list[Path]:
    """The image files in ``folder`` and its subfolders, sorted by relative path.

    Files are taken by their suffix (:data:`SUFFIXES`); hidden files and folders are left out, and links
    to folders are not followed. Raises ImageError when ``folder`` is missing, is no folder or has none.
    """
    folder = Path(folder)
    if not folder.exists():
        raise ImageError(f"{folder} does not exist, expected a folder of images", hint="check the path")
    if not folder.is_dir():
        raise ImageError(
            f"{folder} is a file, expected a folder of images", hint=f"its folder is {folder.parent}"
        )
    found = [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file()]
    names = {path: path.relative_to(folder) for path in found}
    visible = [path for path, name in names.items() if not any(part.startswith(".") for part in name.parts)]
    if not visible:
        raise ImageError(
            f"{folder} holds no image", hint=f"images are files that end in {', '.join(sorted(SUFFIXES))}"
        )
    return sorted(visible, key=lambda path: names[path].as_posix())


def labelled_images(folder: Path | str, labels: Sequence[str] | None = None) -> list[tuple[Path, int]]:
    """The images of ``folder``, each with the index of its class, sorted by path.

    Either the files lie in ``folder`` itself and begin with their class, ``0281_anything.jpg``, or
    each subfolder is one class: the number that it is named (when all are numbers), else its place
    among ``labels``, the network's class names, or without those among the sorted subfolder names.
    Raises ImageError for a folder of neither kind, or a subfolder that ``labels`` does not know.
    """
    folder = Path(folder)
    paths = find_images(folder)
    flat = [path for path in paths if path.parent == folder]
    if not flat:
        classes = _classes_of_folders({path.relative_to(folder).parts[0] for path in paths}, labels)
        return [(path, classes[path.relative_to(folder).parts[0]]) for path in paths]
    prefixes = {path: _CLASS_PREFIX.match(path.name) for path in paths}
    unlabelled = [path for path in paths if path.parent != folder or not prefixes[path]]
    if unlabelled:
        raise ImageError(
            f"{len(unlabelled)} of {len(paths)} images in {folder} have no class: {_first(unlabelled)}",
            hint="name the files by class index, 0281_cat.jpg, or give every class a subfolder",
        )
    return [(path, int(match[1])) for path, match in prefixes.items() if match]


def class_folders(folder: Path | str) -> list[str]:
    """Names of the subfolders that stand for classes by their names; none where numbers say the class."""
    folder = Path(folder)
    paths = find_images(folder)
    names = {path.relative_to(folder).parts[0] for path in paths if path.parent != folder}
    if len(paths) > sum(path.parent != folder for path in paths) or all(name.isdecimal() for name in names):
        return []
    return sorted(names)


def load_pixels(path: Path | str, preprocessing: Preprocessing) -> PixelArray:
    """The pixels that ``preprocessing`` cuts out of the image: uint8, HWC, ``[crop, crop, channels]``.

    The short side is resized to ``resize_short_side``, up or down, the long side in proportion and
    rounded, and the center is cropped. Raises ImageError for a file that cannot be decoded.
    """
    if preprocessing.crop > preprocessing.resize_short_side:
        raise InputError(
            f"a crop of {preprocessing.crop} pixels does not fit in a short side of "
            f"{preprocessing.resize_short_side}"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                return _crop(_resize(_decode(image, preprocessing.color), preprocessing), preprocessing.crop)
    except _DECODER_ERRORS as exc:
        raise ImageError(f"{path} cannot be read as an image: {_reason(exc)}") from exc


def load_image(path: Path | str, preprocessing: Preprocessing) -> FloatArray:
    """The image as ``preprocessing`` feeds it to the network: float32, HWC, normalized.

    Raises ImageError for a file that cannot be decoded.
    """
    return normalize(load_pixels(path, preprocessing), preprocessing)


def normalize(pixels: PixelArray, preprocessing: Preprocessing) -> FloatArray:
    """``(pixel / 255 - mean) / std`` in float32; the channels are the last axis."""
    mean, std = np.asarray(preprocessing.mean, np.float32), np.asarray(preprocessing.std, np.float32)
    normalized: FloatArray = (pixels.astype(np.float32) / np.float32(255) - mean) / std
    return normalized


def to_batch(image: FloatArray) -> FloatArray:
    """An HWC image as a batch of one, NCHW, contiguous."""
    return np.ascontiguousarray(image.transpose(2, 0, 1))[None]


def stream_pixels(
    paths: Iterable[Path], preprocessing: Preprocessing, skipped: list[SkippedImage]
) -> Iterator[tuple[Path, PixelArray]]:
    """Decode one image at a time; those that cannot be read are appended to ``skipped`` and passed over.

    Raises ImageError, naming the first few, at the end of ``paths`` when not one was readable.
    """
    readable = False
    before = len(skipped)
    for path in paths:
        try:
            pixels = load_pixels(path, preprocessing)
        except ImageError as exc:
            skipped.append(SkippedImage(path, _reason(exc.__cause__ or exc)))
            continue
        readable = True
        yield path, pixels
    unreadable = skipped[before:]
    if unreadable and not readable:
        raise ImageError(
            f"none of {len(unreadable)} images can be read: {_first([image.path for image in unreadable])}",
            hint=f"{unreadable[0].path.name}: {unreadable[0].reason}",
        )


def _decode(image: Image.Image, color: str) -> Image.Image:
    ImageOps.exif_transpose(image, in_place=True)
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers of unknown range")
    if image.mode.startswith("I"):
        return _from_16_bit(image).convert(color)
    if image.mode in {"LA", "La", "PA", "RGBA", "RGBa"} or "transparency" in image.info:
        overlay = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", overlay.size, "white"), overlay).convert(color)
    return image.convert(color)


def _from_16_bit(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    return Image.fromarray(np.clip((values + 128) // 257, 0, 255).astype(np.uint8))


def _resize(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    scale = preprocessing.resize_short_side / min(image.size)
    size = (round(image.width * scale), round(image.height * scale))
    if size[0] * size[1] > _MOST_PIXELS:
        raise ValueError(f"{image.width} × {image.height} pixels are too far from a square")
    if size == image.size:
        return image
    return image.resize(size, Image.Resampling[preprocessing.resize_filter.upper()])


def _crop(image: Image.Image, crop: int) -> PixelArray:
    left, top = (image.width - crop) // 2, (image.height - crop) // 2
    return np.array(image.crop((left, top, left + crop, top + crop))).reshape(crop, crop, -1)


def _classes_of_folders(folders: set[str], labels: Sequence[str] | None) -> dict[str, int]:
    if all(name.isdecimal() for name in folders):
        return {name: int(name) for name in folders}
    names = sorted(folders) if labels is None else list(labels)
    unknown = sorted(folders - set(names))
    if unknown:
        raise ImageError(
            f"{len(unknown)} of {len(folders)} subfolders are not named as a class: {', '.join(unknown[:3])}",
            hint=f"the network's classes are named {', '.join(names[:3])}, …",
        )
    return {name: names.index(name) for name in folders}


def _reason(exc: BaseException) -> str:
    if isinstance(exc, UnidentifiedImageError):
        return "not an image of a known format"
    if isinstance(exc, OSError) and exc.strerror:
        return exc.strerror
    return str(exc) or type(exc).__name__


def _first(paths: Sequence[Path]) -> str:
    names = ", ".join(path.name for path in paths[:3])
    return names if len(paths) <= 3 else f"{names}, …"
