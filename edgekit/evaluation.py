"""Exported files on image files, each run by its own runtime as its manifest says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit import manifest, runtimes
from edgekit.errors import ImageError, InputError, ModelFileError
from edgekit.images import SkippedImage, class_folders, find_images, labelled_images, normalize, stream_pixels
from edgekit.manifest import Manifest, ManifestArtifact
from edgekit.options import Preprocessing, TensorSpec
from edgekit.parity import agreement, expected_agreement, sqnr_db, top_k
from edgekit.quantize.recipe import image_set
from edgekit.results import Comparison, Evaluation

__all__ = [
    "artifact_answers",
    "artifact_logits",
    "check_class_folders",
    "check_labels",
    "compare",
    "encode",
    "evaluate",
    "network_input",
    "read_output",
]

Progress = Callable[[str, int, int], None]
FloatArray = npt.NDArray[np.float32]
PixelArray = npt.NDArray[np.uint8]


def evaluate(
    artifact: Path,
    data: Path,
    *,
    num_threads: int = 1,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Top-1 and top-5 of an exported file on the labelled images in ``data``, a folder or a recipe's name.

    Raises ModelFileError for a file that cannot be run, ImageError for a folder without usable labelled
    images, InputError for a label that the network does not have.
    """
    described, entry = manifest.of_artifact(Path(artifact))
    names = _class_names(described, Path(artifact).parent)
    folder, listed = image_set(data, described.preprocessing)
    check_class_folders(folder, names, entry.output.shape[-1])
    labelled = labelled_images(folder, names)
    images = [item for item in labelled if listed is None or item[0] in listed][:limit]
    classes = dict(images)
    check_labels(classes.values(), entry.output.shape[-1])
    paths, logits = _run(Path(artifact), described, entry, classes, num_threads, progress)
    labels = np.asarray([classes[path] for path in paths])
    top5 = top_k(logits, labels, min(5, logits.shape[1]))
    return Evaluation(
        Path(artifact), len(paths), top_k(logits, labels, 1), top5, skipped=len(images) - len(paths)
    )


def compare(
    reference: Path,
    artifact: Path,
    data: Path,
    *,
    num_threads: int = 1,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Comparison:
    """Two exported files on the same images: how often they agree, and the logits' SQNR in dB.

    ``data`` is a folder of images or a recipe's name; where they are labelled with classes of the network,
    the artifact's accuracy is given too. Raises InputError for files of different networks, and
    ModelFileError and ImageError as :func:`evaluate` does.
    """
    described, entry = manifest.of_artifact(Path(artifact))
    other, other_entry = manifest.of_artifact(Path(reference))
    expected_classes, num_classes = other_entry.output.shape[-1], entry.output.shape[-1]
    if expected_classes != num_classes:
        raise InputError(
            f"{Path(reference).name} has {expected_classes} classes, {Path(artifact).name} {num_classes}",
            hint="compare two files of the same network",
        )
    folder, listed = image_set(data, described.preprocessing)
    images = [path for path in find_images(folder) if listed is None or path in listed][:limit]
    classes = _classes_if_labelled(folder, _class_names(described, Path(artifact).parent), num_classes)
    paths, logits = _run(Path(artifact), described, entry, images, num_threads, progress)
    _, expected = _run(Path(reference), other, other_entry, paths, num_threads, progress)
    top1 = top5 = None
    if classes is not None:
        labels = np.asarray([classes[path] for path in paths])
        top1, top5 = top_k(logits, labels, 1), top_k(logits, labels, min(5, logits.shape[1]))
    return Comparison(
        Path(reference),
        Path(artifact),
        len(paths),
        top1,
        top5,
        agreement(expected, logits),
        sqnr_db(expected, logits),
        expected_agreement(expected, logits),
        skipped=len(images) - len(paths),
    )


def artifact_logits(
    path: Path,
    entry_input: TensorSpec,
    entry_output: TensorSpec,
    batches: Iterable[FloatArray],
    num_threads: int = 1,
) -> FloatArray:
    """Logits ``[images, classes]`` of a file for normalized float32 images ``[1, C, H, W]``."""
    runner = runtimes.load(path, num_threads)
    rows = [read_output(runner.run(encode(batch, entry_input)), entry_output) for batch in batches]
    return np.stack(rows)


def artifact_answers(
    path: Path,
    inputs: Sequence[TensorSpec],
    outputs: Sequence[TensorSpec],
    feeds: Iterable[Sequence[FloatArray]],
    num_threads: int = 1,
) -> FloatArray:
    """Numbers of all outputs of a file, ``[images, numbers]``, for an array of each input at a time."""
    runner = runtimes.load(path, num_threads)
    rows = []
    for arrays in feeds:
        fed = {spec.name: encode(array, spec) for spec, array in zip(inputs, arrays, strict=True)}
        found = runner.run_named(fed)
        rows.append(np.concatenate([read_output(found[spec.name], spec) for spec in outputs]))
    return np.stack(rows)


def check_labels(labels: Iterable[int], num_classes: int) -> None:
    """Raise InputError for a label that a network of ``num_classes`` does not have."""
    largest = max(labels, default=0)
    if largest >= num_classes:
        raise InputError(
            f"an image is labelled {largest}, and the network has classes 0 to {num_classes - 1}",
            hint="give images that are labelled with the network's own class indices",
        )


def check_class_folders(data: Path, names: tuple[str, ...] | None, num_classes: int) -> None:
    """Raise InputError where folders would stand for classes by their order, and are not as many."""
    folders = class_folders(data) if names is None else []
    if folders and len(folders) != num_classes:
        raise InputError(
            f"{data} has {len(folders)} folders of classes ({', '.join(folders[:3])} …), and the network has "
            f"{num_classes} classes without names",
            hint="name the folders by class index: 0, 1, 2 …",
        )


def network_input(pixels: PixelArray, preprocessing: Preprocessing, spec: TensorSpec) -> FloatArray:
    """Cropped uint8 HWC pixels as float32 ``[1, C, H, W]``: normalized, unless the file does that itself."""
    if spec.normalization == "embedded":
        return np.ascontiguousarray(pixels.astype(np.float32).transpose(2, 0, 1))[None]
    return np.ascontiguousarray(normalize(pixels, preprocessing).transpose(2, 0, 1))[None]


def encode(batch: FloatArray, spec: TensorSpec) -> npt.NDArray[np.generic]:
    """A normalized float32 ``[1, C, H, W]`` image as the input tensor that ``spec`` asks for."""
    values = batch
    if spec.scale is not None and spec.zero_point is not None:
        info = np.iinfo(spec.dtype)
        values = np.clip(np.rint(values / np.float32(spec.scale)) + spec.zero_point, info.min, info.max)
    laid_out = values.transpose(0, 2, 3, 1) if spec.layout == "NHWC" and values.ndim == 4 else values
    return np.ascontiguousarray(laid_out.astype(spec.dtype))


def read_output(output: npt.NDArray[np.generic], spec: TensorSpec) -> FloatArray:
    """An output tensor as real numbers in the network's own order, flat: logits ``[classes]``."""
    ordered = output.transpose(0, 3, 1, 2) if spec.layout == "NHWC" else output
    values = ordered.reshape(-1).astype(np.float32)
    if spec.scale is None or spec.zero_point is None:
        return values
    reals: FloatArray = (values - np.float32(spec.zero_point)) * np.float32(spec.scale)
    return reals


def _run(
    path: Path,
    described: Manifest,
    entry: ManifestArtifact,
    images: Iterable[Path],
    num_threads: int,
    progress: Progress | None,
) -> tuple[list[Path], FloatArray]:
    """The images that could be read, and their logits."""
    runner = runtimes.load(path, num_threads)
    paths: list[Path] = []
    rows: list[FloatArray] = []
    wanted = list(images)
    for image, batch in _batches(wanted, described.preprocessing, entry.input):
        paths.append(image)
        rows.append(read_output(runner.run(encode(batch, entry.input)), entry.output))
        if progress is not None:
            progress(path.name, len(paths), len(wanted))
    if not rows:
        raise ImageError("no image to run", hint="give a folder with at least one image")
    return paths, np.stack(rows)


def _batches(
    images: Iterable[Path], preprocessing: Preprocessing, spec: TensorSpec
) -> Iterator[tuple[Path, FloatArray]]:
    skipped: list[SkippedImage] = []
    for image, pixels in stream_pixels(images, preprocessing, skipped):
        yield image, network_input(pixels, preprocessing, spec)


def _classes_if_labelled(
    data: Path, names: tuple[str, ...] | None, num_classes: int
) -> dict[Path, int] | None:
    """The class of each image; None where file names only look as if, such as 20240131_sunset.jpg."""
    try:
        check_class_folders(data, names, num_classes)
        classes = dict(labelled_images(data, names))
        check_labels(classes.values(), num_classes)
    except InputError:
        return None
    return classes


def _class_names(described: Manifest, folder: Path) -> tuple[str, ...] | None:
    if described.labels is None:
        return None
    path = folder / described.labels
    try:
        return tuple(path.read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError) as exc:
        raise ModelFileError(
            f"cannot read {path}, which the manifest beside it names: {exc}", hint="export the model again"
        ) from exc
