"""What the stages of int8 quantization buy on a model, from its name and a folder of images."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from edgekit.building import build_graph
from edgekit.options import ExportOptions
from edgekit.quantize import pixel_params
from edgekit.quantize.calibration import open_source
from edgekit.quantize.stages import StageRow, explain_stages

__all__ = ["stages"]

Progress = Callable[[str, int, int], None]


def stages(
    model: str, options: ExportOptions, held_back: int = 50, progress: Progress | None = None
) -> tuple[StageRow, ...]:
    """Quantize ``model`` with and without each stage, as ``edgekit stages`` shows it.

    ``options.calibration`` and ``options.samples`` are the images to calibrate on; at most ``held_back``
    others of the same source score. Raises what :func:`edgekit.export` raises of a model and of images, and
    InputError when no image is left to score on.
    """
    built = build_graph(model, options, progress)
    data = open_source(options.calibration, built.preprocessing, options.samples, options.seed, progress)
    others = data.held_back(held_back)
    unseen = () if others is None else tuple(islice(built.feeding.feed_all(others), held_back))
    return explain_stages(
        built.graph,
        tuple(built.feeding.feed_all(data)),
        unseen,
        input_params=pixel_params(built.preprocessing),
        progress=progress,
    )
