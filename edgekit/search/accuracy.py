"""Predicted ImageNet top-1 of a family's networks at any width, depth and resolution, without torch.

The law of a family is a sum of power laws in the logarithm of the loss that top-1 stands for::

    ln(−ln(top-1)) = intercept + Σ amplitude · x^−exponent      over x = width, depth, resolution

with amplitudes of at least zero, so that more of anything never predicts less, and every dimension alone
saturates. Below the smallest published x a term goes on straight in ln x: a power law that was fitted
above falls too fast there. Width is the square root of the multiply-adds at that width over those at 1,
and depth the number of blocks over those at 1: both are what rounding to whole channels and blocks really
leaves. Resolution is relative to 224.

Coefficients, rows and sources are text, in ``accuracy.toml`` beside this module.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from edgekit.models import zoo
from edgekit.models.cost import cost
from edgekit.models.network import Network
from edgekit.resources import read_toml

__all__ = [
    "Accuracy",
    "AccuracyRow",
    "Law",
    "LawErrors",
    "Point",
    "Term",
    "law_of",
    "laws",
    "network_of",
    "point_of",
    "predict",
]

LAWS_FILE = Path(__file__).with_name("accuracy.toml")
_BASE_RESOLUTION = 224
_BLOCKS = "blocks."
_CLASSES, _CHANNELS = 1000, 3
_EXTRAPOLATED_ERROR = 1.0
"""Points at least for every gap beyond the rows: rows cannot tell how a law errs where there are none."""


class Point(NamedTuple):
    """Width, depth and resolution of a network relative to its family's reference, as they really are."""

    width: float
    depth: float
    resolution: float


class Accuracy(NamedTuple):
    """Percent on ImageNet-1k, its expected error in points, and whether rows support it.

    ``extrapolates``: outside the published scales, or further from the nearest than they are from each
    other. Then the error grows with the distance.
    """

    top1: float
    error: float
    extrapolates: bool


class Term(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one dimension adds: ``amplitude · x^−exponent``, below ``straight_below`` its tangent in ln x."""

    amplitude: float = 0.0
    exponent: float
    straight_below: float = 1.0

    def __call__(self, x: float) -> float:
        if x >= self.straight_below:
            return self.amplitude * math.pow(x, -self.exponent)
        edge = self.amplitude * math.pow(self.straight_below, -self.exponent)
        return edge * (1 - self.exponent * math.log(x / self.straight_below))


class AccuracyRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One published result. ``model`` is a name of the zoo; a scale that is left out is its own."""

    model: str
    width: float | None = None
    resolution: int | None = None
    top1: float


class LawErrors(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Errors in points of rows that the fit did not see, and Spearman's rank correlation with them."""

    mean: float
    maximum: float
    rank_correlation: float | None = None


class Law(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, dict=True
):
    """The law of one family, fitted to one consistent source.

    ``kind`` is how: ``grid`` has rows in width and resolution; ``compound`` rows along the compound
    rule, taken as the best direction at every cost; ``borrowed`` has one row, and takes its slopes from
    the law of ``lender``.
    """

    reference: str
    kind: Literal["grid", "compound", "borrowed"]
    source: str
    note: str = ""
    lender: str = ""
    intercept: float = 0.0
    width: Term
    depth: Term
    resolution: Term
    leave_one_out: LawErrors | None = None
    rows: tuple[AccuracyRow, ...]

    def top1(self, point: Point) -> float:
        """Percent at ``point``."""
        return 100 * math.exp(-math.exp(self.intercept + sum(self.features(point))))

    def features(self, point: Point) -> tuple[float, float, float]:
        """What each dimension adds to ``ln(−ln(top-1))``."""
        return self.width(point.width), self.depth(point.depth), self.resolution(point.resolution)

    def predict(self, network: Network) -> Accuracy:
        """What ``network`` reaches, trained as the law's source trained its networks."""
        point = point_of(network, self.reference)
        distance = self._region.distance(point)
        if distance <= 1.0:
            return Accuracy(self.top1(point), self._errors.mean, False)
        return Accuracy(self.top1(point), max(self._errors.maximum, _EXTRAPOLATED_ERROR * distance), True)

    @property
    def _errors(self) -> LawErrors:
        assert self.leave_one_out, "the laws that are shipped are fitted"
        return self.leave_one_out

    @cached_property
    def _region(self) -> _Region:
        return _Region.around([point_of(network_of(row), self.reference) for row in self.rows])


@dataclass(frozen=True)
class _Region:
    """Where rows are: their logarithms, the extent of each dimension, and the widest gap between them."""

    rows: tuple[Point, ...]
    extents: Point
    gap: float

    @classmethod
    def around(cls, points: list[Point]) -> _Region:
        rows = tuple(Point(*map(math.log, point)) for point in points)
        extents = Point(*(max(column) - min(column) for column in zip(*rows, strict=True)))
        region = cls(rows, Point(*(extent or math.log(2) for extent in extents)), 1.0)
        gaps = [
            min((region._between(one, other) for other in rows if other != one), default=0.0) for one in rows
        ]
        return cls(rows, region.extents, max(gaps) or 0.1)

    def distance(self, point: Point) -> float:
        """From the nearest row, in gaps; above 1 also for whatever lies outside all rows."""
        place = Point(*map(math.log, point))
        nearest = min(self._between(place, row) for row in self.rows) / self.gap
        if all(min(axis) - 1e-9 <= one <= max(axis) + 1e-9 for one, axis in self._axes(place)):
            return nearest
        return 1.0 + nearest

    def _axes(self, place: Point) -> list[tuple[float, tuple[float, ...]]]:
        return list(zip(place, zip(*self.rows, strict=True), strict=True))

    def _between(self, one: Point, other: Point) -> float:
        return math.hypot(*((a - b) / extent for a, b, extent in zip(one, other, self.extents, strict=True)))


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    laws: tuple[Law, ...]


@cache
def laws() -> tuple[Law, ...]:
    """Every family's law."""
    return read_toml(LAWS_FILE, _File).laws


@lru_cache(maxsize=256)
def law_of(name: str) -> Law | None:
    """The law that a zoo name falls under: its own, else its family's. None where nothing is published."""
    for law in laws():
        if law.reference == name:
            return law
    family = zoo.family_of(name)
    for law in laws():
        if zoo.family_of(law.reference) == family:
            return law
    return None


def network_of(row: AccuracyRow) -> Network:
    """The network of a row."""
    return zoo.network(row.model, width=row.width, resolution=row.resolution)


def predict(network: Network) -> Accuracy | None:
    """Top-1 of ``network``, or None where it cannot be predicted.

    That is a family without published results, and networks of other than 1000 classes or 3 channels.
    """
    law = law_of(network.name)
    scale = network.scale
    if law is None or (scale.num_classes, scale.in_channels) != (_CLASSES, _CHANNELS):
        return None
    return law.predict(network)


def point_of(network: Network, reference: str) -> Point:
    """Where ``network`` stands relative to ``reference`` at width 1, depth 1 and 224 pixels."""
    blocks = sum(run.repeat for run in network.runs if run.unit.name == _BLOCKS)
    return Point(
        _width(reference, network.scale.width),
        blocks / _base_blocks(reference),
        network.scale.resolution / _BASE_RESOLUTION,
    )


@lru_cache(maxsize=1 << 14)
def _width(reference: str, width: float) -> float:
    base = cost(zoo.network(reference)).macs
    return math.sqrt(cost(zoo.network(reference, width=width)).macs / base)


@cache
def _base_blocks(reference: str) -> int:
    return sum(run.repeat for run in zoo.network(reference).runs if run.unit.name == _BLOCKS)
