"""Network in Network: 1×1 convolutions behind every larger one, and no fully connected layer.

Network In Network (arXiv 1312.4400). Width multiplies every channel count but the classes; depth
multiplies the 1×1 convolutions, rounded up.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from edgekit.models.blocks import Block, ConvBlock, ConvClassifier, MaxPool
from edgekit.models.entry import Entry, Published
from edgekit.models.network import Unit
from edgekit.models.scale import Scale, round_channels, round_repeats

__all__ = ["ENTRIES", "NIN_IMAGENET", "MlpRow", "nin"]


class MlpRow(NamedTuple):
    """A convolution, then 1×1 convolutions of so many channels each: a perceptron that slides."""

    channels: int
    kernel: int
    stride: int
    pad: int
    pointwise: tuple[int, ...]
    pool: bool = True


NIN_IMAGENET = (
    MlpRow(96, kernel=11, stride=4, pad=0, pointwise=(96, 96)),
    MlpRow(256, kernel=5, stride=1, pad=2, pointwise=(256, 256)),
    MlpRow(384, kernel=3, stride=1, pad=1, pointwise=(384, 384)),
    MlpRow(1024, kernel=3, stride=1, pad=1, pointwise=(1024,), pool=False),
)
"""The authors' network for ImageNet (BVLC/caffe Model Zoo, NIN-Imagenet); the paper has small images only.

The last 1×1 convolution has a channel for every class.
"""

_DROPOUT = 0.5


def _conv(channels: int, kernel: int, stride: int, pad: int) -> Block:
    return ConvBlock(channels, kernel, stride, "relu", norm=False, padded=False, pad=pad)


def _units(row: MlpRow, scale: Scale) -> list[Unit]:
    channels = round_channels(row.channels, scale.width)
    units = [Unit("blocks.", _conv(channels, row.kernel, row.stride, row.pad))]
    repeats = round_repeats(len(row.pointwise), scale.depth)
    for index in range(repeats):
        pointwise = row.pointwise[min(index, len(row.pointwise) - 1)]
        units.append(Unit("blocks.", _conv(round_channels(pointwise, scale.width), 1, 1, 0)))
    return [*units, Unit("pools.", MaxPool(kernel=3, stride=2))] if row.pool else units


def nin(rows: tuple[MlpRow, ...], scale: Scale) -> tuple[Unit, ...]:
    """Network in Network from its table."""
    units = [unit for row in rows for unit in _units(row, scale)]
    return (*units, Unit("classifier", ConvClassifier(scale.num_classes, _DROPOUT)))


ENTRIES = {
    "nin": Entry(
        "nin",
        2013,
        Scale(),
        partial(nin, NIN_IMAGENET),
        Published(7_595_176, 59.36, "mavenlin gist d802a5849de39225bcc6"),
    )
}
