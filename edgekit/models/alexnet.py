"""AlexNet, on one tower and on two, and ZFNet: five convolutions and three fully connected layers.

Width multiplies every channel count but the classes; there is nothing to repeat. The first fully
connected layer has a weight for every pixel, so its size follows the resolution.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from edgekit.models.blocks import Block, ConvBlock, MaxPool, Perceptron, ResponseNorm
from edgekit.models.entry import Entry, Published
from edgekit.models.network import Unit
from edgekit.models.scale import Scale, round_channels

__all__ = ["ALEXNET", "ALEXNET_TWO_TOWERS", "ENTRIES", "HIDDEN", "ZFNET", "ConvRow", "alexnet"]


class ConvRow(NamedTuple):
    """A convolution with ReLU, by ``groups`` that do not see each other.

    ``response_norm`` and a 3×3 max pool with stride 2 (``pool``, padded by ``pool_pad``) may follow, in
    the order of the paper.
    """

    channels: int
    kernel: int
    stride: int = 1
    pad: int = 0
    groups: int = 1
    response_norm: bool = False
    pool: bool = False
    pool_pad: int = 0


ALEXNET = (
    ConvRow(64, kernel=11, stride=4, pad=2, pool=True),
    ConvRow(192, kernel=5, pad=2, pool=True),
    ConvRow(384, kernel=3, pad=1),
    ConvRow(256, kernel=3, pad=1),
    ConvRow(256, kernel=3, pad=1, pool=True),
)
"""One weird trick for parallelizing convolutional neural networks (arXiv 1404.5997), the single tower."""

ALEXNET_TWO_TOWERS = (
    ConvRow(96, kernel=11, stride=4, pad=2, response_norm=True, pool=True),
    ConvRow(256, kernel=5, pad=2, groups=2, response_norm=True, pool=True),
    ConvRow(384, kernel=3, pad=1),
    ConvRow(384, kernel=3, pad=1, groups=2),
    ConvRow(256, kernel=3, pad=1, groups=2, pool=True),
)
"""ImageNet Classification with Deep Convolutional Neural Networks (NIPS 2012), section 3.5.

224 pixels with 2 of padding are the 227 (and one more, unread) that its 55×55 outputs need.
"""

ZFNET = (
    ConvRow(96, kernel=7, stride=2, pad=1, response_norm=True, pool=True, pool_pad=1),
    ConvRow(256, kernel=5, stride=2, response_norm=True, pool=True, pool_pad=1),
    ConvRow(384, kernel=3, pad=1),
    ConvRow(384, kernel=3, pad=1),
    ConvRow(256, kernel=3, pad=1, pool=True),
)
"""Visualizing and Understanding Convolutional Networks (arXiv 1311.2901), figure 3.

It pools before it normalizes contrast.
"""

HIDDEN = (4096, 4096)
_DROPOUT = 0.5


def _after(row: ConvRow, pools_first: bool) -> list[Unit]:
    norm: list[Unit] = [Unit("norms.", ResponseNorm())] if row.response_norm else []
    pool: list[Unit] = [Unit("pools.", MaxPool(3, 2, row.pool_pad))] if row.pool else []
    return pool + norm if pools_first else norm + pool


def alexnet(rows: tuple[ConvRow, ...], scale: Scale, *, pools_first: bool = False) -> tuple[Unit, ...]:
    """A network from one of the tables."""
    units: list[Unit] = []
    for row in rows:
        channels = round_channels(row.channels, scale.width, divisor=8 * row.groups)
        conv: Block = ConvBlock(
            channels,
            row.kernel,
            row.stride,
            "relu",
            norm=False,
            padded=False,
            pad=row.pad,
            groups=row.groups,
        )
        units += [Unit("blocks.", conv), *_after(row, pools_first)]
    hidden = tuple(round_channels(features, scale.width) for features in HIDDEN)
    head = Perceptron(hidden, scale.num_classes, "relu", _DROPOUT, drops_input=True)
    return (*units, Unit("classifier", head))


ENTRIES = {
    "alexnet": Entry(
        "alexnet",
        2012,
        Scale(),
        partial(alexnet, ALEXNET),
        Published(61_100_840, 56.522, "pytorch/vision torchvision/models/alexnet.py", 79.066),
        has_depth=False,
    ),
    "alexnet_two_towers": Entry(
        "alexnet",
        2012,
        Scale(),
        partial(alexnet, ALEXNET_TWO_TOWERS),
        Published(
            60_965_224, 57.1, "onnx/models validated/vision/classification/alexnet/README.md", top5=80.2
        ),
        has_depth=False,
    ),
    "zfnet": Entry(
        "zfnet",
        2013,
        Scale(),
        partial(alexnet, ZFNET, pools_first=True),
        Published(62_357_608, 60.79, "osmr/imgclsmob gluon/README.md", top5=83.22),
        has_depth=False,
    ),
}
