"""What an export calibrates on: the user's images, a recipe's, generated or distilled ones."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import numpy as np

from edgekit.building import Built
from edgekit.errors import InputError
from edgekit.options import ExportOptions
from edgekit.quantize.calibration import CalibrationData, open_source, synthetic, with_first

__all__ = ["DISTILLED", "open_calibration"]

Progress = Callable[[str, int, int], None]

DISTILLED = "distilled"
"""What ``--calibration`` is called for images distilled from batch normalization."""

_DISTILLED_IMAGES = 16  # those that go through the network again for each layer; ranges come from all


def open_calibration(
    built: Built, options: ExportOptions, progress: Progress | None = None
) -> CalibrationData:
    """The images that ``options`` ask for.

    Raises what :func:`edgekit.quantize.calibration.open_source` raises, and InputError for images that are
    to be distilled from a network without batch normalization.
    """
    if options.calibration != DISTILLED:
        return open_source(options.calibration, built.preprocessing, options.samples, options.seed, progress)
    if built.module is None:
        raise InputError(
            f"{built.model.name} comes as a graph, whose batch normalization is folded away: nothing can be "
            "distilled from it",
            hint="calibrate on a folder of images, or leave --calibration out for generated ones",
        )
    from edgekit.models.distillation import distill  # brings torch

    generated = synthetic(built.preprocessing, options.samples, options.seed)
    mean, std = (
        np.asarray(values, np.float32) for values in (built.preprocessing.mean, built.preprocessing.std)
    )
    start = np.concatenate(list(islice(generated, _DISTILLED_IMAGES)))
    found = distill(built.module, start, (0 - mean) / std, (1 - mean) / std, progress)
    pixels = np.rint((found.transpose(0, 2, 3, 1) * std + mean) * 255).clip(0, 255).astype(np.uint8)
    description = f"{generated.description}, {len(pixels)} of them distilled from batch normalization"
    return with_first(generated, list(pixels), description)
