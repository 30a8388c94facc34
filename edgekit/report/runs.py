"""Records joined into runs: one file in one runtime on one machine, with all that was measured of it."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import Any, NamedTuple, TypeAlias

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
_UNKNOWN = Model()
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
    """A file where it ran. ``label`` tells it from the others; ``repeats`` counts its latency records.

    ``accuracy`` is what labelled images gave, ``agreement`` what a reference did.
    """

    label: str
    record: AnyRecord
    place: Place
    latency: LatencyRecord | None = None
    sustained: LatencyRecord | None = None
    accuracy: AccuracyRecord | None = None
    agreement: AccuracyRecord | None = None
    profile: ProfileRecord | None = None
    layers: LayersRecord | None = None
    published_top1: float | None = None
    repeats: int = 0

    @property
    def model(self) -> Model:
        return self.record.model or _UNKNOWN

    @cached_property
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

    @cached_property
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
        return tuple(dict.fromkeys(text for one in (self.record, *self.records) for text in one.warnings))

    @property
    def records(self) -> list[AnyRecord]:
        """The records that it is made of."""
        found = (self.latency, self.sustained, self.profile, self.accuracy, self.agreement, self.layers)
        return [one for one in found if one is not None]


_Parts: TypeAlias = dict[str, Any]
"""The fields of a :class:`Run` while its records come."""


def join(records: Sequence[AnyRecord], published: Iterable[Published] = ()) -> list[Run]:
    """The runs in ``records``, in the order of their first record; the latest of equal measurements stands.

    Accuracy and layer errors belong to a file wherever it ran; they make a run of their own only where
    nothing else was measured of it.
    """
    labels = _labels({one.sha256: one for one in records})
    networks = {one.name: one for one in published}
    parts: dict[tuple[object, ...], _Parts] = {}
    of_file: dict[str, list[_Parts]] = defaultdict(list)

    def parts_of(record: AnyRecord) -> _Parts:
        key = record.sha256, _place(record), record.runtime, record.num_threads
        if key not in parts:
            parts[key] = {"record": record, "place": key[1], "repeats": 0}
            of_file[record.sha256].append(parts[key])
        return parts[key]

    for record in records:
        if isinstance(record, LatencyRecord | ProfileRecord):
            _add(parts_of(record), record)
    for record in records:
        if isinstance(record, AccuracyRecord | LayersRecord):
            for one in of_file[record.sha256] or [parts_of(record)]:
                _add(one, record)
    return [
        Run(
            labels[one["record"].sha256],
            published_top1=_published_top1(one["record"].model, networks),
            **one,
        )
        for one in parts.values()
    ]


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


def _add(parts: _Parts, record: AnyRecord) -> None:
    """Take ``record`` into the fields of a run."""
    if isinstance(record, LatencyRecord) and record.sustained is not None:
        parts["sustained"] = record
    elif isinstance(record, LatencyRecord):
        parts |= {"record": record, "latency": record, "repeats": parts["repeats"] + 1}
    elif isinstance(record, ProfileRecord):
        parts["profile"] = record
    elif isinstance(record, LayersRecord):
        parts["layers"] = record
    else:
        measured = {"accuracy": record.top1, "agreement": record.agreement}
        parts |= {name: record for name, value in measured.items() if value is not None}


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


def _published_top1(model: Model | None, networks: Mapping[str, Published]) -> float | None:
    """That of the network of this name where its multiply-adds are those published, and so its scale."""
    one = networks.get(model.name or "") if model else None
    if one is None or model is None or model.macs is None:
        return None
    return one.top1 if abs(one.macs - model.macs) <= _SAME_NETWORK * one.macs else None
