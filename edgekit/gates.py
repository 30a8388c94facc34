"""Gates that an export can be made to pass: the accuracy that quantization may cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekit import runtimes
from edgekit.building import Built
from edgekit.emit import Emitted
from edgekit.errors import CheckError, InputError
from edgekit.evaluation import check_labels, encode, read_output
from edgekit.graph.run import GraphRunner
from edgekit.images import SkippedImage, labelled_images, normalize, stream_pixels, to_batch
from edgekit.options import ExportOptions

__all__ = ["DropGate", "open_drop_gate"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class DropGate:
    """Top-1 of a file on labelled images may be at most ``max_drop`` points below the fp32 network's."""

    built: Built
    max_drop: float
    labels: Mapping[Path, int]

    def check(self, emitted: Sequence[Emitted], progress: Progress | None = None) -> tuple[str, ...]:
        """Raise CheckError for the first file that does not pass; return warnings for the user.

        Images stream: memory does not grow with their number. Raises ImageError when none can be read.
        """
        skipped: list[SkippedImage] = []
        hits, images = self._hits(emitted, skipped, progress)
        expected, *reached = (100 * count / images for count in hits)
        for item, top1 in zip(emitted, reached, strict=True):
            if expected - top1 > self.max_drop:
                raise CheckError(
                    f"{item.path.name} reaches {top1:.1f} % top-1 on {images} images, "
                    f"{expected - top1:.1f} points below the fp32 network's {expected:.1f} %; "
                    f"at most {self.max_drop:g} were allowed",
                    hint="calibrate on more images of your own, or export with --precision fp16",
                )
        if not skipped:
            return ()
        names = ", ".join(one.path.name for one in skipped[:3])
        return (f"{len(skipped)} images of --data could not be read: {names}",)

    def _hits(
        self, emitted: Sequence[Emitted], skipped: list[SkippedImage], progress: Progress | None
    ) -> tuple[list[int], int]:
        """How many images the network, and then each file, names right; and of how many."""
        preprocessing = self.built.preprocessing
        network = GraphRunner(self.built.graph, num_threads=None)
        files = [(runtimes.load(item.path), item) for item in emitted]
        hits, images = [0] * (1 + len(files)), 0
        for images, (path, pixels) in enumerate(stream_pixels(self.labels, preprocessing, skipped), 1):
            batch = to_batch(normalize(pixels, preprocessing))
            (logits,) = network.run(batch).values()
            answers = [logits[0]]
            answers += [
                read_output(runner.run(encode(batch, item.input)), item.output) for runner, item in files
            ]
            for index, answer in enumerate(answers):
                hits[index] += int(np.argmax(answer)) == self.labels[path]
            if progress is not None:
                progress("max-drop", images, len(self.labels))
        return hits, images


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
    labels = dict(labelled_images(options.data, built.labels))
    check_labels(labels.values(), built.model.num_classes)
    return DropGate(built, options.max_drop, labels)
