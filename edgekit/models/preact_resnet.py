"""Networks of pre-activation blocks: ResNet v2 for ImageNet, and Wide ResNet for CIFAR-10.

Width multiplies every channel count but the classes; depth multiplies the blocks of every stage, rounded
up.
"""

from __future__ import annotations

from functools import partial

from edgekit.models.blocks import Classifier, ConvBlock, MaxPool
from edgekit.models.cifar_resnet import CIFAR, CIFAR_10
from edgekit.models.entry import Entry, Published
from edgekit.models.network import Unit, repeated
from edgekit.models.residual import NormActivation, PreActivation
from edgekit.models.resnet import BLOCKS, STAGE_CHANNELS
from edgekit.models.scale import Scale, round_channels, round_repeats

__all__ = ["ENTRIES", "WIDE_CHANNELS", "preact_resnet", "wide_resnet"]

_EXPANSION = 4

WIDE_CHANNELS = (16, 32, 64)
"""Wide Residual Networks (arXiv 1605.07146), table 1, before they are widened."""


def preact_resnet(layers: int, scale: Scale) -> tuple[Unit, ...]:
    """ResNet of so many layers in bottlenecks that normalize first (arXiv 1603.05027).

    The stem is a convolution without normalization, which the first block brings.
    """
    stem = round_channels(STAGE_CHANNELS[0], scale.width)
    units = [
        Unit("stem", ConvBlock(stem, kernel=7, stride=2, activation=None, norm=False, bias=False)),
        Unit("pool", MaxPool(kernel=3, stride=2, pad=1)),
    ]
    for index, (channels, repeats) in enumerate(zip(STAGE_CHANNELS, BLOCKS[layers], strict=True)):
        width = round_channels(channels, scale.width)
        first, other = (
            PreActivation(_EXPANSION * width, stride, bottleneck=width) for stride in (2 if index else 1, 1)
        )
        units += repeated("blocks.", first, other, round_repeats(repeats, scale.depth))
    return (*units, Unit("head", NormActivation()), Unit("classifier", Classifier(scale.num_classes)))


def wide_resnet(layers: int, widening: int, scale: Scale) -> tuple[Unit, ...]:
    """WRN-``layers``-``widening``: 6n + 4 layers, their channels ``widening`` times as many."""
    repeats = round_repeats((layers - 4) // 6, scale.depth)
    units = [Unit("stem", ConvBlock(round_channels(WIDE_CHANNELS[0], scale.width), 3, 1, "relu"))]
    for index, channels in enumerate(WIDE_CHANNELS):
        width = round_channels(channels * widening, scale.width)
        first = PreActivation(width, 2 if index else 1, normalizes=index > 0)
        units += repeated("blocks.", first, PreActivation(width, 1), repeats)
    return (*units, Unit("head", NormActivation()), Unit("classifier", Classifier(scale.num_classes)))


ENTRIES = {
    "preact_resnet50": Entry(
        "resnet_preact",
        2016,
        Scale(),
        partial(preact_resnet, 50),
        Published(25_549_352, 80.410, "huggingface/pytorch-image-models results/", 95.082),
    ),
    "preact_resnet101": Entry(
        "resnet_preact",
        2016,
        Scale(),
        partial(preact_resnet, 101),
        Published(44_541_480, 82.042, "huggingface/pytorch-image-models results/", 95.866),
    ),
    "wrn28_10": Entry(
        "wide_resnet",
        2016,
        CIFAR,
        partial(wide_resnet, 28, 10),
        Published(36_479_194, 96.00, "Wide Residual Networks (arXiv 1605.07146), table 5", dataset=CIFAR_10),
    ),
}
