"""Gates that an export can be made to pass: the accuracy that quantization may cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit import runtimes
from edgekit.building import Built
from edgekit.emit import Emitted
from edgekit.errors import CheckError, InputError
from edgekit.evaluation import check_class_folders, check_labels, encode, network_input, read_output
from edgekit.graph.run import GraphRunner
from edgekit.images import SkippedImage, labelled_images, normalize, stream_pixels, to_batch
from edgekit.options import ExportOptions, Preprocessing

__all__ = ["DropGate", "open_drop_gate"]

Progress = Callable[[str, int, int], None]
FloatArray = npt.NDArray[np.float32]
PixelArray = npt.NDArray[np.uint8]


_NETWORK = ""  # stands for the fp32 network among the files' hashes


@dataclass(frozen=True)
class DropGate:
    """Top-1 of a file on labelled images may be at most ``max_drop`` points below the fp32 network's.

    A file is run once, however often it is asked about.
    """

    built: Built
    max_drop: float
    labels: Mapping[Path, int]
    _hits: dict[str, int] = field(default_factory=dict, init=False, repr=False, compare=False)
    _skipped: list[SkippedImage] = field(default_factory=list, init=False, repr=False, compare=False)

    def check(self, emitted: Sequence[Emitted], progress: Progress | None = None) -> tuple[str, ...]:
        """Raise CheckError for the first file that does not pass; return warnings for the user.

        Images stream: memory does not grow with their number. Raises ImageError when none can be read.
        """
        for item, drop in zip(emitted, self.drops(emitted, progress), strict=True):
            if drop > self.max_drop:
                expected, images = self._top1(_NETWORK), self._images
                raise CheckError(
                    f"{item.path.name} reaches {expected - drop:.1f} % top-1 on {images} images, "
                    f"{drop:.1f} points below the fp32 network's {expected:.1f} %; "
                    f"at most {self.max_drop:g} were allowed",
                    hint="calibrate on more images of your own, or export with --precision fp16",
                )
        if not self._skipped:
            return ()
        names = ", ".join(one.path.name for one in self._skipped[:3])
        return (f"{len(self._skipped)} images of --data could not be read: {names}",)

    def drops(self, emitted: Sequence[Emitted], progress: Progress | None = None) -> tuple[float, ...]:
        """How many percentage points of top-1 each file loses; below zero for one that gains.

        Raises ImageError when no image can be read.
        """
        self._count(emitted, progress)
        return tuple(self._top1(_NETWORK) - self._top1(_key(item)) for item in emitted)

    @property
    def _images(self) -> int:
        return len(self.labels) - len(self._skipped)

    def _top1(self, key: str) -> float:
        return 100 * self._hits[key] / self._images

    def _count(self, emitted: Sequence[Emitted], progress: Progress | None) -> None:
        """Run the network, and the files that were not run before, on every image that can be read."""
        preprocessing = self.built.preprocessing
        answers: dict[str, Callable[[PixelArray], FloatArray]] = {}
        if _NETWORK not in self._hits:
            answers[_NETWORK] = _network_answer(self.built)
        new = [one for one in emitted if _key(one) not in self._hits]
        answers.update({_key(one): _file_answer(one, preprocessing) for one in new})
        if not answers:
            return
        skipped: list[SkippedImage] = []
        hits = dict.fromkeys(answers, 0)
        for done, (path, pixels) in enumerate(stream_pixels(self.labels, preprocessing, skipped), 1):
            for name, answer in answers.items():
                hits[name] += int(np.argmax(answer(pixels))) == self.labels[path]
            if progress is not None:
                progress("max-drop", done, len(self.labels))
        self._skipped[:] = skipped
        self._hits.update(hits)


def _key(item: Emitted) -> str:
    """What tells files apart: an OpenVINO graph's weights are in a file of their own."""
    return f"{item.sha256} {item.details.get('weights_sha256', '')}"


def _network_answer(built: Built) -> Callable[[PixelArray], FloatArray]:
    network = GraphRunner(built.graph, num_threads=None)

    def answer(pixels: PixelArray) -> FloatArray:
        batch = to_batch(normalize(pixels, built.preprocessing))
        logits: FloatArray = network.run(batch)[network.output_names[0]][0]
        return logits

    return answer


def _file_answer(item: Emitted, preprocessing: Preprocessing) -> Callable[[PixelArray], FloatArray]:
    runner = runtimes.load(item.path)

    def answer(pixels: PixelArray) -> FloatArray:
        batch = network_input(pixels, preprocessing, item.input)
        return read_output(runner.run(encode(batch, item.input)), item.output)

    return answer


def open_drop_gate(built: Built, options: ExportOptions) -> DropGate | None:
    """The gate that ``options`` ask for, None without ``max_drop``; before the work that it judges.

    Raises InputError for ``max_drop`` without ``data``, or the reverse, a number of points that is none,
    or a label that the network does not have, and ImageError for a folder without labelled images.
    """
    if options.max_drop is None and options.data is None:
        return None
    if options.max_drop is None or options.data is None:
        raise InputError(
            f"max_drop is {options.max_drop} and data is {options.data}, expected both",
            hint="give a number of points and a folder of labelled images, or neither",
        )
    if not math.isfinite(options.max_drop):
        raise InputError(
            f"max_drop is {options.max_drop}, expected a number of percentage points", hint="try 1"
        )
    check_class_folders(options.data, built.labels, built.model.num_classes)
    labels = dict(labelled_images(options.data, built.labels))
    check_labels(labels.values(), built.model.num_classes)
    return DropGate(built, options.max_drop, labels)
