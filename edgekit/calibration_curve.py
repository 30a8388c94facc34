"""How many calibration images are enough: accuracy of int8 against their number, real and generated ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgekit.building import Built, build_graph
from edgekit.errors import InputError
from edgekit.graph.run import GraphRunner
from edgekit.options import ExportOptions
from edgekit.parity import agreement, sqnr_db
from edgekit.quantize import QuantizeOptions, pixel_params
from edgekit.quantize.calibration import CalibrationData, from_folder, synthetic
from edgekit.quantize.overlap import shared_images
from edgekit.quantize.stages import quantize_in_stages
from edgekit.results import JSON

__all__ = ["COUNTS", "CalibrationCurve", "CurvePoint", "calibration_curve"]

FloatArray = npt.NDArray[np.float32]
Progress = Callable[[str, int, int], None]
Source = Literal["photographs", "generated"]

COUNTS = (1, 4, 16, 64, 250)
"""Numbers of images that are tried, as far as the folder has them."""

_LARGEST = 1 << 31  # more images than any folder has
_JUDGED = 50  # images that judge, where no folder of others is given
_ENOUGH_DB = 0.3


@dataclass(frozen=True)
class CurvePoint:
    """int8 after calibration on so many images, against fp32: agreement in percent, SQNR in dB."""

    source: Source
    images: int
    agreement: float
    sqnr_db: float

    def to_json(self) -> dict[str, JSON]:
        is_finite = math.isfinite(self.sqnr_db)
        return {
            "source": self.source,
            "images": self.images,
            "agreement": round(self.agreement, 2),
            "sqnr_db": round(self.sqnr_db, 2) if is_finite else None,
        }


@dataclass(frozen=True)
class CalibrationCurve:
    """All points, and on how many images that calibrated none of them each was judged."""

    model: str
    judged_on: int
    points: tuple[CurvePoint, ...]
    warnings: tuple[str, ...] = ()

    def enough(self, source: Source) -> int:
        """The least number of images within 0.3 dB of the best of that source."""
        points = [point for point in self.points if point.source == source]
        best = max(point.sqnr_db for point in points)
        return min(point.images for point in points if point.sqnr_db >= best - _ENOUGH_DB)

    def to_json(self) -> dict[str, JSON]:
        return {
            "model": self.model,
            "judged_on": self.judged_on,
            "points": [point.to_json() for point in self.points],
        }


def calibration_curve(
    model: str,
    folder: Path,
    data: Path | None = None,
    *,
    counts: Sequence[int] = COUNTS,
    options: ExportOptions = ExportOptions(),
    progress: Progress | None = None,
) -> CalibrationCurve:
    """Quantize ``model`` after calibration on more and more images, and judge each result.

    ``folder`` has the photographs; ``data`` the images that judge, by default 50 of ``folder`` that
    calibrate nowhere. Raises InputError for numbers below 1 or when no image is left to judge, and what
    :func:`edgekit.building.build_graph` raises.
    """
    if not counts or min(counts) < 1:
        raise InputError(f"numbers of images {list(counts)} were given, expected each at least 1")
    built = build_graph(model, options, progress)
    photographs, judges = _images(built, folder, data, counts, options.seed)
    used = sorted({min(count, len(photographs)) for count in counts})
    sources: dict[Source, CalibrationData] = {
        "photographs": photographs,
        "generated": synthetic(built.preprocessing, used[-1], options.seed),
    }
    fed_judges = tuple(built.feeding.feed_all(judges))
    expected = _logits(GraphRunner(built.graph, num_threads=None), fed_judges)
    points: list[CurvePoint] = []
    for source, images in sources.items():
        for count in used:
            found = _logits(_quantized(built, images, count), fed_judges)
            points.append(CurvePoint(source, count, agreement(expected, found), sqnr_db(expected, found)))
            if progress is not None:
                progress("calibrations", len(points), 2 * len(used))
    shared = len(shared_images(photographs.files, judges.files))
    overlap = (f"{shared} of the {len(judges)} images that judge calibrated too",) if shared else ()
    return CalibrationCurve(built.model.name, len(judges), tuple(points), (*built.warnings, *overlap))


def _images(
    built: Built, folder: Path, data: Path | None, counts: Sequence[int], seed: int
) -> tuple[CalibrationData, CalibrationData]:
    """Those that calibrate, and those that judge."""
    photographs = from_folder(folder, built.preprocessing, max(counts), seed)
    if data is not None:
        return photographs, from_folder(data, built.preprocessing, _LARGEST, seed)
    judges = photographs.held_back(_JUDGED)
    if judges is None:
        spared = from_folder(folder, built.preprocessing, max(len(photographs) - _JUDGED, 1), seed)
        photographs, judges = spared, spared.held_back(_JUDGED)
    if judges is None:
        raise InputError(
            f"{folder} has {len(photographs)} images, so none is left to judge",
            hint="add --data FOLDER with other images",
        )
    return photographs, judges


def _quantized(built: Built, images: CalibrationData, count: int) -> GraphRunner:
    fed = tuple(islice(built.feeding.feed_all(images), count))
    params = pixel_params(built.preprocessing)
    result = quantize_in_stages(built.graph, fed, QuantizeOptions(), input_params=params)
    return GraphRunner(result.model, num_threads=None)


def _logits(runner: GraphRunner, images: Sequence[FloatArray]) -> FloatArray:
    rows = [next(iter(runner.run(image).values())) for image in images]
    return np.concatenate(rows).reshape(len(rows), -1)
