"""Networks that nobody would train, for timing alone: layers of every kind, at sizes drawn over the range.

A family uses few kinds of layers, at sizes that its table ties together. A latency model that is fitted to
some families then knows little of what only another one has: a shuffle, a gate, a 5×5 depthwise filter on
many channels. Probes mix the blocks of all families at random.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from random import Random

from edgekit.models.blocks import (
    AvgPool,
    Block,
    Classifier,
    ConvBlock,
    Fire,
    HiddenClassifier,
    InvertedResidual,
    MaxPool,
    SeparableConv,
)
from edgekit.models.cost import cost
from edgekit.models.densenet import DenseLayer
from edgekit.models.layers import ActivationKind
from edgekit.models.network import Network, Unit, structure
from edgekit.models.residual import Residual
from edgekit.models.scale import Scale
from edgekit.models.shufflenet_v2 import ShuffleUnit

__all__ = ["probes"]

_RESOLUTIONS = (64, 96, 112, 128, 160, 192, 224, 256)
_CLASSES = (10, 100, 400, 1000)
_MACS = (4e6, 1.2e8)  # what is measured in milliseconds, not in seconds
_STAGES = 4
_BLOCKS = (1, 3)  # of a stage, least and most
_KEEPS = 0.3  # share of blocks that leave the channels as they are, so that shortcuts are added
_GROWTH = (1.2, 2.8)  # of channels from stage to stage

_ACTIVATIONS: tuple[ActivationKind, ...] = ("relu", "relu6", "silu", "hardswish")

_Maker = Callable[[Random, int, int, int], Block]


def probes(count: int, seed: int = 0) -> Iterator[Network]:
    """So many networks, always the same for a seed; each has 4 to 120 million multiply-adds."""
    random = Random(seed)
    found = 0
    while found < count:
        network = _probe(random, f"probe{found}")
        if _MACS[0] <= cost(network).macs <= _MACS[1]:
            found += 1
            yield network


def _probe(random: Random, name: str) -> Network:
    scale = Scale(resolution=random.choice(_RESOLUTIONS), num_classes=random.choice(_CLASSES))
    channels = random.choice((8, 12, 16, 24, 32, 48))
    stem = ConvBlock(channels, random.choice((3, 5, 7)), 2, random.choice(("relu6", "hardswish")))
    units, given = [Unit("stem", stem)], channels
    for _ in range(_STAGES):
        channels = _rounded(random, channels * random.uniform(*_GROWTH))
        for index in range(random.randint(*_BLOCKS)):
            wanted = given if random.random() < _KEEPS else channels
            block = random.choice(_MAKERS)(random, given, wanted, 1 if index else 2)
            units.append(Unit("blocks.", block))
            given = structure(block, given).output.channels
    return Network(name, "probe", scale, (*units, Unit("classifier", _classifier(random, scale.num_classes))))


def _rounded(random: Random, channels: float) -> int:
    """A multiple of what networks take: their tables mostly end in powers of two, scaled ones in eights."""
    divisor = random.choice((4, 8, 8, 16, 32))
    return divisor * max(1, math.floor(channels / divisor))


def _inverted(random: Random, given: int, channels: int, stride: int) -> Block:
    activation = random.choice(_ACTIVATIONS)
    gate = random.choice(("none", "none", "sigmoid", "hardsigmoid"))
    return InvertedResidual(
        channels,
        random.choice((1, 2, 3, 4, 6)),
        random.choice((3, 3, 5)),
        stride,
        activation,
        se_ratio=0.25 if gate == "sigmoid" else 0.0,
        se_channels=8 * max(1, channels // 8) if gate == "hardsigmoid" else 0,
    )


def _separable(random: Random, given: int, channels: int, stride: int) -> Block:
    return SeparableConv(channels, stride, random.choice(("relu", "relu6")))


def _pointwise(random: Random, given: int, channels: int, stride: int) -> Block:
    return ConvBlock(4 * channels if random.random() < 0.3 else channels, 1, stride, "relu")


def _conv(random: Random, given: int, channels: int, stride: int) -> Block:
    return ConvBlock(channels, random.choice((3, 3, 5)), stride, "relu")


def _residual(random: Random, given: int, channels: int, stride: int) -> Block:
    if random.random() < 0.5:
        return Residual(channels, stride)
    narrow = 4 * max(1, channels // 8)
    groups = random.choice((1, 1, 2, 4))
    reduction = random.choice((0, 0, 4))
    return Residual(channels, stride, bottleneck=narrow, groups=groups, se_reduction=reduction)


def _fire(random: Random, given: int, channels: int, stride: int) -> Block:
    if stride > 1:
        return MaxPool(3, stride, pad=1)
    return Fire(max(4, channels // 4), channels // 2, channels // 2, bypass=random.random() < 0.3)


def _shuffle(random: Random, given: int, channels: int, stride: int) -> Block:
    # A unit without a stride divides what it is given into halves.
    return ShuffleUnit(2 * ((channels if stride > 1 else given) // 2), stride)


def _dense(random: Random, given: int, channels: int, stride: int) -> Block:
    return AvgPool(2, stride) if stride > 1 else DenseLayer(random.choice((8, 12, 16, 32)))


def _classifier(random: Random, num_classes: int) -> Block:
    if random.random() < 0.3:
        return HiddenClassifier(random.choice((256, 512, 1024)), num_classes, "hardswish", 0.0)
    return Classifier(num_classes)


_MAKERS: tuple[_Maker, ...] = (
    *(_inverted, _inverted, _inverted, _separable, _pointwise, _conv),
    *(_residual, _fire, _shuffle, _dense),
)
