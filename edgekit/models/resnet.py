"""ResNet for ImageNet, and what widens, groups or weighs its channels: Wide ResNet, ResNeXt, SE.

Width multiplies every channel count but the classes; depth multiplies the blocks of every stage, rounded
up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

from edgekit.models.blocks import Classifier, ConvBlock, MaxPool
from edgekit.models.entry import Entry, Published
from edgekit.models.network import Unit, repeated
from edgekit.models.residual import Residual
from edgekit.models.scale import Scale, round_channels, round_repeats

__all__ = ["BLOCKS", "ENTRIES", "STAGE_CHANNELS", "Design", "resnet", "resnext_width"]

STAGE_CHANNELS = (64, 128, 256, 512)
"""Deep Residual Learning (arXiv 1512.03385), table 1: channels of conv2_x to conv5_x."""

BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
"""Blocks of each stage, by the layers of the network (its table 1); from 50 on they are bottlenecks."""

_FIRST_BOTTLENECK = 50
_EXPANSION = 4
_BASE = 64


@dataclass(frozen=True)
class Design:
    """What one network of the kind is: ``layers`` of table 1, and how its bottlenecks differ.

    ``groups`` of ``group_width`` channels where a stage has 64 (ResNeXt, Wide ResNet).
    """

    layers: int
    groups: int = 1
    group_width: int = _BASE
    se_reduction: int = 0

    def bottleneck(self, channels: int) -> int:
        """The channels of the 3×3 convolution in a stage of ``channels``; 0 for basic blocks."""
        if self.layers < _FIRST_BOTTLENECK:
            return 0
        return max(1, channels * self.group_width // _BASE) * self.groups


def resnext_width(groups: int, channels: int = _BASE) -> float:
    """The channels c of each of G ``groups`` that make a bottleneck as large as one of C ``channels``.

    A bottleneck from 4C channels to C, 3×3, and back has (4C·C + 9C² + 4C·C) = 17C² weights; with G
    groups of c channels it has 4C·Gc + 9Gc² + 4C·Gc. So 9Gc² + 8GCc = 17C², solved for c: about 4 for 32
    groups of C = 64 (Aggregated Residual Transformations, arXiv 1611.05431, section 3.3 and table 2).
    """
    a, b, rest = 9 * groups, 8 * groups * channels, 17 * channels**2
    return (math.sqrt(b**2 + 4 * a * rest) - b) / (2 * a)


def _stage(design: Design, index: int, scale: Scale) -> tuple[Unit, ...]:
    channels = round_channels(STAGE_CHANNELS[index], scale.width)
    bottleneck = design.bottleneck(channels)
    first, other = (
        Residual(
            channels * (_EXPANSION if bottleneck else 1),
            stride,
            bottleneck,
            groups=design.groups,
            se_reduction=design.se_reduction,
        )
        for stride in (1 if index == 0 else 2, 1)
    )
    return repeated("blocks.", first, other, round_repeats(BLOCKS[design.layers][index], scale.depth))


def resnet(design: Design, scale: Scale) -> tuple[Unit, ...]:
    """A network from table 1, with the design's bottlenecks."""
    stem = round_channels(STAGE_CHANNELS[0], scale.width)
    return (
        Unit("stem", ConvBlock(stem, kernel=7, stride=2, activation="relu")),
        Unit("pool", MaxPool(kernel=3, stride=2, pad=1)),
        *(unit for index in range(len(STAGE_CHANNELS)) for unit in _stage(design, index, scale)),
        Unit("classifier", Classifier(scale.num_classes)),
    )


_TORCHVISION = "pytorch/vision torchvision/models/resnet.py"
_SENET = "hujie-frank/SENet README.md"


def _entry(family: str, year: int, design: Design, params: int, top1: float, top5: float) -> Entry:
    source = _SENET if design.se_reduction else _TORCHVISION
    return Entry(family, year, Scale(), partial(resnet, design), Published(params, top1, source, top5))


ENTRIES = {
    "resnet18": _entry("resnet", 2015, Design(18), 11_689_512, 69.758, 89.078),
    "resnet34": _entry("resnet", 2015, Design(34), 21_797_672, 73.314, 91.420),
    "resnet50": _entry("resnet", 2015, Design(50), 25_557_032, 80.858, 95.434),
    "resnet101": _entry("resnet", 2015, Design(101), 44_549_160, 81.886, 95.780),
    "resnet152": _entry("resnet", 2015, Design(152), 60_192_808, 82.284, 96.002),
    "wide_resnet50_2": _entry("wide_resnet", 2016, Design(50, group_width=128), 68_883_240, 81.602, 95.758),
    "resnext50_32x4d": _entry(
        "resnext", 2016, Design(50, groups=32, group_width=4), 25_028_904, 81.198, 95.340
    ),
    "se_resnet50": _entry("senet", 2017, Design(50, se_reduction=16), 28_088_024, 77.63, 93.64),
    "se_resnext50_32x4d": _entry(
        "senet", 2017, Design(50, groups=32, group_width=4, se_reduction=16), 27_559_896, 79.03, 94.46
    ),
}
