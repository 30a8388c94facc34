"""GoogLeNet: nine Inception modules, with auxiliary classifiers for training.

Going Deeper with Convolutions (arXiv 1409.4842). Width multiplies every channel count but the classes;
there is nothing to repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from edgekit.models.blocks import Block, Classifier, ConvBlock, MaxPool
from edgekit.models.branches import Branches, C, P, scaled
from edgekit.models.entry import Entry, Published
from edgekit.models.layers import Tensor
from edgekit.models.network import PORTED, Unit
from edgekit.models.residual import SqueezeExcited
from edgekit.models.scale import Scale, round_channels
from edgekit.models.tape import Tape

__all__ = ["ENTRIES", "GOOGLENET", "AuxiliaryClassifier", "ModuleRow", "googlenet"]


class ModuleRow(NamedTuple):
    """One Inception module, in the columns of table 1; ``pool``: the max pool behind it, by its kernel.

    ``auxiliary``: a classifier for training reads its output.
    """

    conv1x1: int
    reduce3x3: int
    conv3x3: int
    reduce5x5: int
    conv5x5: int
    pool_project: int
    pool: int = 0
    auxiliary: bool = False


GOOGLENET = (
    ModuleRow(64, 96, 128, 16, 32, 32),
    ModuleRow(128, 128, 192, 32, 96, 64, pool=3),
    ModuleRow(192, 96, 208, 16, 48, 64, auxiliary=True),
    ModuleRow(160, 112, 224, 24, 64, 64),
    ModuleRow(128, 128, 256, 24, 64, 64),
    ModuleRow(112, 144, 288, 32, 64, 64, auxiliary=True),
    ModuleRow(256, 160, 320, 32, 128, 128, pool=2),
    ModuleRow(256, 160, 320, 32, 128, 128),
    ModuleRow(384, 192, 384, 48, 128, 128),
)
"""Table 1, inception (3a) to (5b), as torchvision has it, whose weights are in use: with batch norm, the
pool before (5a) 2×2, and 3×3 kernels where the table says 5×5 (pytorch/vision#906)."""

STEM = (64, 64, 192)
_AUXILIARY_CHANNELS, _AUXILIARY_HIDDEN = 128, 1024
_AUXILIARY_DROPOUT, _DROPOUT = 0.7, 0.2


@dataclass(frozen=True)
class AuxiliaryClassifier:
    """Average pool 5×5 with stride 3, 1×1 convolution, a hidden layer, dropout, logits (section 5)."""

    channels: int
    hidden: int
    num_classes: int

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``pool``, ``conv``, ``flatten``, ``hidden``, ``hidden_act``, ``dropout``, ``linear``."""
        y = tape.conv("conv", tape.avg_pool("pool", x, 5, 3), self.channels, activation="relu")
        y = tape.linear("hidden", tape.flatten("flatten", y), self.hidden)
        y = tape.dropout("dropout", tape.activation("hidden_act", y, "relu"), _AUXILIARY_DROPOUT)
        return tape.linear("linear", y, self.num_classes)


def _module(row: ModuleRow, width: float) -> Branches:
    return Branches(
        scaled(
            (
                (C(row.conv1x1),),
                (C(row.reduce3x3), C(row.conv3x3, 3)),
                (C(row.reduce5x5), C(row.conv5x5, 3)),
                (P("max"), C(row.pool_project)),
            ),
            width,
        )
    )


def _pool(kernel: int) -> Unit:
    return Unit("pools.", MaxPool(kernel, 2, ceil=True))


def _stage(row: ModuleRow, scale: Scale, se_reduction: int) -> list[Unit]:
    module: Block = _module(row, scale.width)
    units = [Unit("blocks.", SqueezeExcited(module, se_reduction) if se_reduction else module)]
    if row.auxiliary:
        channels = round_channels(_AUXILIARY_CHANNELS, scale.width)
        hidden = round_channels(_AUXILIARY_HIDDEN, scale.width)
        head = AuxiliaryClassifier(channels, hidden, scale.num_classes)
        units.append(Unit("auxiliary.", head, aside=True))
    return [*units, _pool(row.pool)] if row.pool else units


def googlenet(scale: Scale, *, se_reduction: int = 0) -> tuple[Unit, ...]:
    """The network of table 1; with ``se_reduction`` every module's output is squeezed and excited."""
    first, reduce, second = (round_channels(channels, scale.width) for channels in STEM)
    return (
        Unit("stem", ConvBlock(first, kernel=7, stride=2, activation="relu")),
        _pool(3),
        Unit("convs.", ConvBlock(reduce, kernel=1, stride=1, activation="relu")),
        Unit("convs.", ConvBlock(second, kernel=3, stride=1, activation="relu")),
        _pool(3),
        *(unit for row in GOOGLENET for unit in _stage(row, scale, se_reduction)),
        Unit("classifier", Classifier(scale.num_classes, _DROPOUT)),
    )


ENTRIES = {
    "googlenet": Entry(
        "googlenet",
        2014,
        Scale(),
        googlenet,
        Published(6_624_904, 69.778, "pytorch/vision torchvision/models/googlenet.py", 89.530),
        PORTED,
        has_depth=False,
    ),
    "se_googlenet": Entry(
        "senet",
        2017,
        Scale(),
        partial(googlenet, se_reduction=16),
        Published(),
        PORTED,
        has_depth=False,
    ),
}
