"""Inception-v3: factorized kernels, 7×7 as 1×7 and 7×1, with an auxiliary classifier for training.

Rethinking the Inception Architecture (arXiv 1512.00567), table 1, as TensorFlow's weights have it. Width
multiplies every channel count but the classes; its modules differ, so that there is nothing to repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from edgekit.models.blocks import Block, Classifier, ConvBlock, MaxPool
from edgekit.models.branches import Branch, Branches, C, Fork, P, scaled
from edgekit.models.entry import Entry, Published
from edgekit.models.layers import Tensor
from edgekit.models.network import PORTED, Unit
from edgekit.models.residual import SqueezeExcited
from edgekit.models.scale import Scale, round_channels
from edgekit.models.tape import Tape

__all__ = ["ENTRIES", "INCEPTION_V3", "MeanClassifier", "inception_v3", "stem"]


def _a(pool_project: int) -> tuple[Branch, ...]:
    """35×35 pixels (figure 5)."""
    return (
        (C(64),),
        (C(48), C(64, 5)),
        (C(64), C(96, 3), C(96, 3)),
        (P("avg"), C(pool_project)),
    )


def _b(channels: int) -> tuple[Branch, ...]:
    """17×17 pixels (figure 6)."""
    wide, tall = (1, 7), (7, 1)
    return (
        (C(192),),
        (C(channels), C(channels, wide), C(192, tall)),
        (C(channels), C(channels, tall), C(channels, wide), C(channels, tall), C(192, wide)),
        (P("avg"), C(192)),
    )


_REDUCE_35: tuple[Branch, ...] = (
    (C(384, 3, 2, valid=True),),
    (C(64), C(96, 3), C(96, 3, 2, valid=True)),
    (P("max", 2),),
)
_REDUCE_17: tuple[Branch, ...] = (
    (C(192), C(320, 3, 2, valid=True)),
    (C(192), C(192, (1, 7)), C(192, (7, 1)), C(192, 3, 2, valid=True)),
    (P("max", 2),),
)
_C: tuple[Branch, ...] = (
    (C(320),),
    (C(384), Fork(C(384, (1, 3)), C(384, (3, 1)))),
    (C(448), C(384, 3), Fork(C(384, (1, 3)), C(384, (3, 1)))),
    (P("avg"), C(192)),
)
INCEPTION_V3: tuple[tuple[Branch, ...], ...] = (
    _a(32),
    _a(64),
    _a(64),
    _REDUCE_35,
    _b(128),
    _b(160),
    _b(160),
    _b(192),
    _REDUCE_17,
    _C,
    _C,
)
"""Modules of table 1 in their order, the reductions of figure 10 between them."""

STEM = (32, 32, 64, 80, 192)
_AUXILIARY_AFTER = 7
_AUXILIARY_CHANNELS = (128, 768)
_DROPOUT = 0.5


@dataclass(frozen=True)
class MeanClassifier:
    """Average pool 5×5 with stride 3, two convolutions, global average, logits (figure 8)."""

    channels: tuple[int, int]
    num_classes: int

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``pool``, ``conv1``, ``conv2``, ``mean``, ``flatten``, ``linear``."""
        y = tape.conv("conv1", tape.avg_pool("pool", x, 5, 3), self.channels[0], activation="relu")
        y = tape.conv("conv2", y, self.channels[1], 5, padded=False, activation="relu")
        return tape.linear("linear", tape.flatten("flatten", tape.global_pool("mean", y)), self.num_classes)


def stem(scale: Scale) -> tuple[Unit, ...]:
    """299×299 pixels to 35×35, also Inception-ResNet-v2's."""
    widths = [round_channels(channels, scale.width) for channels in STEM]

    def conv(index: int, kernel: int, stride: int = 1, padded: bool = False) -> ConvBlock:
        return ConvBlock(widths[index], kernel, stride, "relu", padded=padded)

    return (
        Unit("stem", conv(0, 3, 2)),
        Unit("convs.", conv(1, 3)),
        Unit("convs.", conv(2, 3, padded=True)),
        Unit("pools.", MaxPool(3, 2)),
        Unit("convs.", conv(3, 1)),
        Unit("convs.", conv(4, 3)),
        Unit("pools.", MaxPool(3, 2)),
    )


def inception_v3(scale: Scale, *, se_reduction: int = 0) -> tuple[Unit, ...]:
    """The network; with ``se_reduction`` every module's output is squeezed and excited."""
    units = list(stem(scale))
    for index, table in enumerate(INCEPTION_V3):
        module: Block = Branches(scaled(table, scale.width))
        units.append(Unit("blocks.", SqueezeExcited(module, se_reduction) if se_reduction else module))
        if index == _AUXILIARY_AFTER:
            first, second = (round_channels(channels, scale.width) for channels in _AUXILIARY_CHANNELS)
            head = MeanClassifier((first, second), scale.num_classes)
            units.append(Unit("auxiliary", head, aside=True))
    return (*units, Unit("classifier", Classifier(scale.num_classes, _DROPOUT)))


ENTRIES = {
    "inception_v3": Entry(
        "inception",
        2015,
        Scale(resolution=299),
        inception_v3,
        Published(23_834_568, 77.294, "pytorch/vision torchvision/models/inception.py", 93.450),
        PORTED,
        has_depth=False,
    ),
    "se_inception_v3": Entry(
        "senet",
        2017,
        Scale(resolution=299),
        partial(inception_v3, se_reduction=16),
        Published(),
        PORTED,
        has_depth=False,
    ),
}
