"""Gates that an export can be made to pass: the accuracy that quantization may cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgekit.building import Built
from edgekit.emit import Emitted
from edgekit.errors import CheckError
from edgekit.evaluation import artifact_logits
from edgekit.graph.run import GraphRunner
from edgekit.images import SkippedImage, labelled_images, normalize, stream_pixels, to_batch
from edgekit.options import ExportOptions
from edgekit.parity import top_k

__all__ = ["check_drop"]

Progress = Callable[[str, int, int], None]


def check_drop(
    built: Built, emitted: Sequence[Emitted], options: ExportOptions, progress: Progress | None = None
) -> None:
    """Raise CheckError if a file's top-1 on ``options.data`` is more than ``max_drop`` points below fp32's.

    Does nothing without ``max_drop``. Raises ImageError for a folder without labelled images.
    """
    if options.max_drop is None or options.data is None:
        return
    labels = dict(labelled_images(options.data, built.labels))
    skipped: list[SkippedImage] = []
    pixels = list(stream_pixels(labels, built.preprocessing, skipped))
    truth = np.asarray([labels[path] for path, _ in pixels])
    batches = [to_batch(normalize(image, built.preprocessing)) for _, image in pixels]
    runner = GraphRunner(built.graph, num_threads=None)
    reference = np.concatenate([next(iter(runner.run(batch).values())) for batch in batches])
    expected = top_k(reference, truth, 1)
    for done, item in enumerate(emitted, 1):
        reached = top_k(artifact_logits(item.path, item.input, item.output, batches), truth, 1)
        if progress is not None:
            progress("max-drop", done, len(emitted))
        if expected - reached > options.max_drop:
            raise CheckError(
                f"{item.path.name} reaches {reached:.1f} % top-1 on {len(truth)} images, "
                f"{expected - reached:.1f} points below the fp32 network's {expected:.1f} %; "
                f"at most {options.max_drop:g} were allowed",
                hint="calibrate on more images of your own, or export with --precision fp16",
            )
