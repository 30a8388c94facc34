"""Calibration data: a stream of preprocessed images that can be read again and again.

From a folder, from a recipe, or generated. The number of images is always the one asked for or stated
in :attr:`CalibrationData.description`; there is no source of random noise, whose activation ranges have
nothing to do with those of photographs.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from edgekit import resources
from edgekit.errors import InputError, UnknownNameError
from edgekit.files import sha256_of
from edgekit.images import SkippedImage, find_images, load_pixels, normalize, stream_pixels, to_batch
from edgekit.options import CalibrationSet, Preprocessing
from edgekit.quantize.recipe import check_preprocessing, load_recipe, verified_files
from edgekit.quantize.sampling import spread
from edgekit.quantize.synthetic import generate_image

__all__ = [
    "CACHE_BYTES",
    "DEFAULT_RECIPE",
    "CalibrationData",
    "from_folder",
    "from_recipe",
    "open_source",
    "synthetic",
    "with_first",
]

PixelArray = npt.NDArray[np.uint8]
FloatArray = npt.NDArray[np.float32]
Progress = Callable[[str, int, int], None]

CACHE_BYTES = 64 * 2**20
"""Decoded pixels that one set keeps: over 400 images of 224 × 224. The rest is decoded on every pass."""

_FEW = 8

DEFAULT_RECIPE = "natural"
"""The recipe that needs no data."""


class CalibrationData(ABC):
    """A fixed number of images; each pass yields them in the same order, preprocessed for the network.

    ``description`` says in one phrase what and how many they are, ``skipped`` which files could not be
    read, ``files`` where the images came from (none when generated). ``is_synthetic`` tells that they
    are no photographs. However many there are, memory holds at most :data:`CACHE_BYTES` of pixels and
    one image in float32.
    """

    is_synthetic: bool
    files: tuple[Path, ...] = ()
    skipped: tuple[SkippedImage, ...] = ()

    def __init__(self, preprocessing: Preprocessing) -> None:
        self.preprocessing = preprocessing
        self._cache: dict[int, PixelArray] = {}
        self._cached_bytes = 0

    def __iter__(self) -> Iterator[FloatArray]:
        """Batches of one, float32, NCHW, ``[1, channels, crop, crop]``, normalized."""
        for index in range(len(self)):
            yield to_batch(normalize(self._pixels(index), self.preprocessing))

    def pixels(self) -> Iterator[PixelArray]:
        """The same images before normalization: uint8, HWC, ``[crop, crop, channels]``."""
        for index in range(len(self)):
            yield self._pixels(index)

    def warnings(self) -> list[str]:
        """What makes these images poor ones to calibrate on, a sentence each."""
        found = []
        if len(self) < _FEW:
            found.append(
                f"{len(self)} calibration image{'s' if len(self) > 1 else ''}: activation ranges follow from "
                "so little; give a hundred, of all kinds that the application sees"
            )
        flat = sum(int(pixels.min() == pixels.max()) for pixels in self.pixels())
        if flat:
            found.append(
                f"{flat} of {len(self)} calibration images have one color only, which says nothing of the "
                "ranges of photographs"
            )
        return found

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def description(self) -> str: ...

    @property
    @abstractmethod
    def identity(self) -> CalibrationSet:
        """What a manifest has to say of these images."""

    @abstractmethod
    def held_back(self, samples: int) -> CalibrationData | None:
        """At most ``samples`` images of the same source that are not in this set; None when all are."""

    @abstractmethod
    def _load(self, index: int) -> PixelArray: ...

    def _pixels(self, index: int) -> PixelArray:
        if index in self._cache:
            return self._cache[index]
        return self._keep(index, self._load(index))

    def _keep(self, index: int, pixels: PixelArray) -> PixelArray:
        if self._cached_bytes + pixels.nbytes <= CACHE_BYTES:
            self._cache[index] = pixels
            self._cached_bytes += pixels.nbytes
        return pixels


class _Origin(NamedTuple):
    kind: Literal["folder", "recipe"]
    name: str
    phrase: str


class _Files(CalibrationData):
    """Images of a folder or of a recipe's list, each decoded once to know that it can be."""

    is_synthetic = False

    def __init__(
        self,
        paths: Sequence[Path],
        origin: _Origin,
        preprocessing: Preprocessing,
        samples: int,
        seed: int,
        progress: Progress | None,
    ) -> None:
        super().__init__(preprocessing)
        self._origin, self._asked, self._seed, self._total = origin, samples, seed, len(paths)
        order = [paths[index] for index in spread(len(paths), samples, seed)]
        skipped: list[SkippedImage] = []
        used: list[Path] = []
        for path, pixels in islice(stream_pixels(order, preprocessing, skipped), samples):
            self._keep(len(used), pixels)
            used.append(path)
            if progress:
                progress("images", len(used), min(samples, len(paths)))
        self.files, self.skipped = tuple(used), tuple(skipped)
        self._unused = sorted(order[len(used) + len(skipped) :])

    def __len__(self) -> int:
        return len(self.files)

    @property
    def description(self) -> str:
        amount = f"{len(self)} of {self._total} images" if len(self) < self._total else f"{len(self)} images"
        notes = [f"{self._asked} were asked for"] if len(self) < self._asked else []
        notes += [f"{len(self.skipped)} could not be read"] if self.skipped else []
        return f"{amount} {self._origin.phrase}" + (f" ({', '.join(notes)})" if notes else "")

    @property
    def identity(self) -> CalibrationSet:
        hashes = sorted(sha256_of(path) for path in self.files)
        digest = hashlib.sha256("\n".join(hashes).encode()).hexdigest()
        return CalibrationSet(self._origin.kind, self._origin.name, len(self), self._seed, digest)

    def held_back(self, samples: int) -> CalibrationData | None:
        if not self._unused:
            return None
        return _Files(self._unused, self._origin, self.preprocessing, samples, self._seed, None)

    def _load(self, index: int) -> PixelArray:
        return load_pixels(self.files[index], self.preprocessing)


class _Generated(CalibrationData):
    """Pictures ``start`` to ``start + samples`` of one series."""

    is_synthetic = True

    def __init__(self, preprocessing: Preprocessing, samples: int, seed: int, start: int) -> None:
        super().__init__(preprocessing)
        self._samples, self._seed, self._start = samples, seed, start

    def __len__(self) -> int:
        return self._samples

    @property
    def description(self) -> str:
        return f"{self._samples} generated images (dead leaves, seed {self._seed}), no photographs"

    @property
    def identity(self) -> CalibrationSet:
        return CalibrationSet("generated", "dead_leaves", len(self), self._seed)

    def held_back(self, samples: int) -> CalibrationData:
        return _Generated(self.preprocessing, samples, self._seed, self._start + self._samples)

    def _load(self, index: int) -> PixelArray:
        pixels = generate_image(self._start + index, self.preprocessing.crop, self._seed)
        return pixels if self.preprocessing.color == "RGB" else _gray(pixels)


class _Replaced(CalibrationData):
    """Another set whose first images are these."""

    def __init__(self, data: CalibrationData, first: Sequence[PixelArray], description: str) -> None:
        super().__init__(data.preprocessing)
        self._data, self._first, self._description = data, tuple(first), description
        self.is_synthetic, self.files, self.skipped = data.is_synthetic, data.files, data.skipped

    def __len__(self) -> int:
        return len(self._data)

    @property
    def description(self) -> str:
        return self._description

    @property
    def identity(self) -> CalibrationSet:
        return replace(self._data.identity, kind="distilled")

    def held_back(self, samples: int) -> CalibrationData | None:
        return self._data.held_back(samples)

    def _load(self, index: int) -> PixelArray:
        return self._first[index] if index < len(self._first) else self._data._pixels(index)


def from_folder(
    folder: Path | str,
    preprocessing: Preprocessing,
    samples: int = 100,
    seed: int = 0,
    progress: Progress | None = None,
) -> CalibrationData:
    """``samples`` images of ``folder`` and its subfolders, spread evenly over the sorted files by ``seed``.

    Another image takes the place of one that cannot be read. A folder with fewer images gives all it
    has, and the description says so. Raises ImageError when there is no folder or no readable image.
    """
    paths = find_images(folder)
    origin = _Origin("folder", Path(folder).resolve().name, f"in {Path(folder)}")
    return _Files(paths, origin, preprocessing, samples, seed, progress)


def from_recipe(
    name: str | Path,
    preprocessing: Preprocessing,
    samples: int | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
) -> CalibrationData:
    """The images of a recipe; ``samples`` and ``seed`` replace the recipe's own.

    Raises UnknownNameError for an unknown name, InputError when the recipe was made for another
    preprocessing, ImageError for files that are missing or changed.
    """
    recipe = load_recipe(name)
    check_preprocessing(recipe, preprocessing)
    samples = recipe.count if samples is None else samples
    seed = recipe.seed if seed is None else seed
    if recipe.generator is not None:
        return synthetic(preprocessing, samples, seed)
    origin = _Origin("recipe", recipe.name, f"of recipe {recipe.name}")
    return _Files(verified_files(recipe), origin, preprocessing, samples, seed, progress)


def synthetic(preprocessing: Preprocessing, samples: int = 100, seed: int = 0) -> CalibrationData:
    """Generated pictures, which need no data; see :mod:`edgekit.quantize.synthetic`."""
    if samples < 1 or seed < 0:
        raise InputError(f"{samples} images of seed {seed}, expected at least 1 and a seed of at least 0")
    return _Generated(preprocessing, samples, seed, start=0)


def with_first(data: CalibrationData, first: Sequence[PixelArray], description: str) -> CalibrationData:
    """``data`` with its first images replaced by ``first``: uint8, HWC."""
    return _Replaced(data, first, description)


def open_source(
    source: str | Path | None,
    preprocessing: Preprocessing,
    samples: int | None = None,
    seed: int | None = None,
    progress: Progress | None = None,
) -> CalibrationData:
    """What ``--calibration`` names: a recipe, a folder, a recipe's TOML file, or by ``None`` the default.

    A recipe goes before a folder of the same name; write ``./name`` for the folder. Raises
    UnknownNameError for a plain name that is neither, and whatever the two kinds of source raise.
    """
    source = DEFAULT_RECIPE if source is None else source
    known = resources.names("calibration")
    is_recipe_file = str(source).endswith(".toml") and not Path(source).is_dir()
    if is_recipe_file or (isinstance(source, str) and source in known):
        return from_recipe(source, preprocessing, samples, seed, progress)
    if not resources.is_path(source) and not Path(source).exists():
        raise UnknownNameError("calibration folder or recipe", str(source), known)
    samples, seed = 100 if samples is None else samples, 0 if seed is None else seed
    return from_folder(source, preprocessing, samples, seed, progress)


def _gray(pixels: PixelArray) -> PixelArray:
    """Luma of RGB pixels (ITU-R BT.601), ``[size, size, 1]``."""
    luma: PixelArray = np.rint(pixels @ np.asarray([0.299, 0.587, 0.114])).astype(np.uint8)
    return luma[..., None]
