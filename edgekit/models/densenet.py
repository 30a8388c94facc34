"""DenseNet: every layer reads the outputs of all layers before it in its block.

Width multiplies the growth rate and the stem; depth multiplies the layers of every block, rounded up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from edgekit.models.blocks import Classifier, ConvBlock, MaxPool
from edgekit.models.entry import Entry, Published
from edgekit.models.layers import Tensor
from edgekit.models.network import Unit
from edgekit.models.residual import NormActivation
from edgekit.models.scale import Scale, round_channels, round_repeats
from edgekit.models.tape import Tape

__all__ = ["ENTRIES", "GROWTH", "LAYERS", "DenseLayer", "Transition", "densenet"]

LAYERS = {121: (6, 12, 24, 16), 169: (6, 12, 32, 32), 201: (6, 12, 48, 32)}
"""Densely Connected Convolutional Networks (arXiv 1608.06993), table 1: layers of each dense block."""
GROWTH = 32
"""Its k, of the networks for ImageNet; the stem has 2k channels."""

_BOTTLENECK = 4


@dataclass(frozen=True)
class DenseLayer:
    """``growth`` channels from all before, through a bottleneck, joined to them (DenseNet-BC, section 3)."""

    growth: int

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``norm``, ``norm_act``, ``conv1``, ``conv2``, ``concat``."""
        y = tape.activation("norm_act", tape.norm("norm", x), "relu")
        y = tape.conv("conv1", y, _BOTTLENECK * self.growth, activation="relu")
        y = tape.conv("conv2", y, self.growth, 3, norm=False, bias=False)
        return tape.concat("concat", x, y)


@dataclass(frozen=True)
class Transition:
    """Half the channels and half the pixels a side between dense blocks."""

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``norm``, ``norm_act``, ``conv``, ``pool``."""
        y = tape.activation("norm_act", tape.norm("norm", x), "relu")
        y = tape.conv("conv", y, x.channels // 2, norm=False, bias=False)
        return tape.avg_pool("pool", y, kernel=2, stride=2)


def densenet(layers: int, scale: Scale) -> tuple[Unit, ...]:
    """A network from table 1."""
    growth = round_channels(GROWTH, scale.width)
    units = [
        Unit("stem", ConvBlock(2 * growth, kernel=7, stride=2, activation="relu")),
        Unit("pool", MaxPool(kernel=3, stride=2, pad=1)),
    ]
    for index, repeats in enumerate(LAYERS[layers]):
        if index:
            units.append(Unit("transitions.", Transition()))
        units.append(Unit("blocks.", DenseLayer(growth), round_repeats(repeats, scale.depth)))
    return (*units, Unit("head", NormActivation()), Unit("classifier", Classifier(scale.num_classes)))


_TORCHVISION = "pytorch/vision torchvision/models/densenet.py"
_PUBLISHED = {
    121: Published(7_978_856, 74.434, _TORCHVISION, 91.972),
    169: Published(14_149_480, 75.600, _TORCHVISION, 92.806),
    201: Published(20_013_928, 76.896, _TORCHVISION, 93.370),
}
ENTRIES = {
    f"densenet{layers}": Entry("densenet", 2016, Scale(), partial(densenet, layers), published)
    for layers, published in _PUBLISHED.items()
}
