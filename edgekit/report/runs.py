"""Records joined into runs: one file in one runtime on one machine, with all that was measured of it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import NamedTuple

from edgekit.measure.record import (
    AccuracyRecord,
    AnyRecord,
    LatencyRecord,
    LayersRecord,
    Model,
    ProfileRecord,
)
from edgekit.options import FORMATS

__all__ = ["LayerCost", "Place", "Published", "Run", "Top1", "by_place", "join", "wilson"]

RANDOM = "random"
_THIS_MACHINE = "host"
_USUAL_RESOLUTION = 224
_SAME_NETWORK = 1e-3
_Z95 = 1.96


class Place(NamedTuple):
    """Where latencies compare with each other: a target or device, on one machine."""

    name: str
    host: str
    emulated: bool


class Published(NamedTuple):
    """A network of the literature: multiply-adds and parameters of one image, top-1 in percent."""

    name: str
    family: str
    macs: int
    params: int
    top1: float


class LayerCost(NamedTuple):
    """What a layer costs for one fp32 image, by its name."""

    name: str
    op: str
    activation_bytes: int
    params: int
    macs: int


class Top1(NamedTuple):
    """Top-1 in percent with its 95 % interval, or the published figure of the fp32 network instead."""

    value: float
    low: float
    high: float
    is_measured: bool


@dataclass(frozen=True)
class Run:
    """A file where it ran. ``label`` tells it from the others; ``repeats`` counts its latency records."""

    label: str
    record: AnyRecord
    place: Place
    latency: LatencyRecord | None = None
    sustained: LatencyRecord | None = None
    accuracy: AccuracyRecord | None = None
    profile: ProfileRecord | None = None
    layers: LayersRecord | None = None
    published_top1: float | None = None
    repeats: int = 1

    @property
    def model(self) -> Model:
        return self.record.model or Model()

    @property
    def network(self) -> str:
        """The network's name with what of its scale is unusual; the file's without its precision."""
        model = self.model
        if model.name is None:
            return PurePath(self.record.artifact).stem.replace(f"_{self.record.precision}", "")
        scale = [f"×{model.width:g}" if model.width not in (None, 1) else ""]
        scale += [f"depth ×{model.depth:g}" if model.depth not in (None, 1) else ""]
        return " ".join([model.name, *filter(None, scale), *self._resolution()])

    def _resolution(self) -> list[str]:
        return [f"@{self.model.resolution}"] if self.model.resolution not in (None, _USUAL_RESOLUTION) else []

    @property
    def family(self) -> str:
        return self.model.family or self.model.name or "other networks"

    @property
    def is_random(self) -> bool:
        """Whether the weights were never trained, so that accuracy means nothing."""
        return self.model.weights == RANDOM

    @property
    def median_ms(self) -> float | None:
        return self.latency.latency_ms.median if self.latency else None

    @property
    def top1(self) -> Top1 | None:
        """What was measured, unless the weights are random; else what was published of the network."""
        measured = self.accuracy
        if measured is not None and measured.top1 is not None and not self.is_random:
            low, high = wilson(measured.top1, measured.images)
            return Top1(measured.top1, low, high, True)
        if self.published_top1 is None:
            return None
        return Top1(self.published_top1, self.published_top1, self.published_top1, False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """All sentences of its records, without repetition."""
        records = (self.record, self.latency, self.sustained, self.accuracy, self.profile, self.layers)
        return tuple(dict.fromkeys(text for one in records if one is not None for text in one.warnings))


def join(records: Sequence[AnyRecord], published: Iterable[Published] = ()) -> list[Run]:
    """The runs in ``records``, in the order of their first record; the latest of equal measurements stands.

    Accuracy and layer errors belong to a file wherever it ran; they make a run of their own only where
    nothing else was measured of it.
    """
    files = {one.sha256: one for one in records}
    labels = _labels(files)
    top1s = list(published)
    runs: dict[tuple[object, ...], Run] = {}
    for record in records:
        if isinstance(record, LatencyRecord | ProfileRecord):
            key = _key(record)
            known = runs.get(key) or Run(labels[record.sha256], record, _place(record), repeats=0)
            runs[key] = _with(known, record)
    of_file: dict[str, list[tuple[object, ...]]] = defaultdict(list)
    for key, run in runs.items():
        of_file[run.record.sha256].append(key)
    for record in records:
        if not isinstance(record, AccuracyRecord | LayersRecord):
            continue
        if not of_file[record.sha256]:
            key = _key(record)
            runs[key] = Run(labels[record.sha256], record, _place(record))
            of_file[record.sha256].append(key)
        for key in of_file[record.sha256]:
            runs[key] = _with(runs[key], record)
    return [replace(run, published_top1=_published_top1(run, top1s)) for run in runs.values()]


def by_place(runs: Iterable[Run]) -> Mapping[Place, list[Run]]:
    """The runs of each place."""
    places: dict[Place, list[Run]] = defaultdict(list)
    for run in runs:
        places[run.place].append(run)
    return places


def wilson(rate: float, number: int) -> tuple[float, float]:
    """The 95 % interval of a rate in percent that was counted on ``number`` images (Wilson, 1927)."""
    if number < 1:
        return 0.0, 100.0
    share = rate / 100
    spread = _Z95 * math.sqrt(share * (1 - share) / number + _Z95**2 / (4 * number**2))
    center = share + _Z95**2 / (2 * number)
    scale = 100 / (1 + _Z95**2 / number)
    return max(0.0, scale * (center - spread)), min(100.0, scale * (center + spread))


def _with(run: Run, record: AnyRecord) -> Run:
    if isinstance(record, LatencyRecord) and record.sustained is not None:
        return replace(run, sustained=record)
    if isinstance(record, LatencyRecord):
        return replace(run, record=record, latency=record, repeats=run.repeats + 1)
    if isinstance(record, ProfileRecord):
        return replace(run, profile=record)
    if isinstance(record, AccuracyRecord):
        return replace(run, accuracy=record)
    return replace(run, layers=record)


def _key(record: AnyRecord) -> tuple[object, ...]:
    return record.sha256, _place(record), record.runtime, record.num_threads


def _place(record: AnyRecord) -> Place:
    is_named = record.target not in (None, _THIS_MACHINE, *FORMATS)
    return Place(
        record.target if record.target and is_named else record.device,
        record.environment.host or "",
        record.emulated,
    )


def _labels(files: Mapping[str, AnyRecord]) -> dict[str, str]:
    """A short name for each file: its own, with as many folders as tell equal names apart."""
    names = {sha256: PurePath(record.artifact).parts for sha256, record in files.items()}
    labels = {sha256: parts[-1] for sha256, parts in names.items()}
    for depth in range(2, max(map(len, names.values()), default=0) + 1):
        counts = Counter(labels.values())
        if len(counts) == len(labels):
            break
        labels = {
            sha256: "/".join(names[sha256][-depth:]) if counts[label] > 1 else label
            for sha256, label in labels.items()
        }
    return _numbered(labels)


def _numbered(labels: Mapping[str, str]) -> dict[str, str]:
    """Files of one path that changed between measurements are told apart by their hash."""
    counts = Counter(labels.values())
    return {
        sha256: f"{label} ({sha256[:7]})" if counts[label] > 1 else label for sha256, label in labels.items()
    }


def _published_top1(run: Run, published: Sequence[Published]) -> float | None:
    model = run.model
    for one in published:
        is_same = one.name == model.name and model.macs is not None
        if is_same and abs(one.macs - (model.macs or 0)) <= _SAME_NETWORK * one.macs:
            return one.top1
    return None
