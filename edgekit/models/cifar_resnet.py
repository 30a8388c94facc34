"""The networks for CIFAR-10 of the ResNet paper: plain, residual, and residual with stochastic depth.

Width multiplies every channel count but the classes; depth multiplies the blocks of every stage, rounded
up.
"""

from __future__ import annotations

from functools import partial

from edgekit.models.blocks import Classifier, ConvBlock
from edgekit.models.entry import Entry, Published
from edgekit.models.network import Unit
from edgekit.models.residual import Residual, Shortcut
from edgekit.models.scale import Scale, round_channels, round_repeats

__all__ = ["CIFAR", "CIFAR_10", "ENTRIES", "STAGE_CHANNELS", "cifar_resnet"]

CIFAR = Scale(resolution=32, num_classes=10)
CIFAR_10 = "CIFAR-10"

STAGE_CHANNELS = (16, 32, 64)
"""Deep Residual Learning (arXiv 1512.03385), section 4.2: 6n + 2 layers in three stages of n blocks."""


def cifar_resnet(
    layers: int, scale: Scale, *, shortcut: Shortcut = "padding", most_dropped: float = 0.0
) -> tuple[Unit, ...]:
    """The network of so many layers, 6n + 2.

    Stochastic depth (arXiv 1603.09382, section 3) drops a block's branch in training with a rate that
    grows in equal steps up to ``most_dropped`` in the last.
    """
    repeats = round_repeats((layers - 2) // 6, scale.depth)
    total = repeats * len(STAGE_CHANNELS)
    units = [Unit("stem", ConvBlock(round_channels(STAGE_CHANNELS[0], scale.width), 3, 1, "relu"))]
    for index in range(total):
        stage, place = divmod(index, repeats)
        block = Residual(
            round_channels(STAGE_CHANNELS[stage], scale.width),
            stride=2 if stage and not place else 1,
            shortcut=shortcut,
            drop_rate=most_dropped * (index + 1) / total,
        )
        units.append(Unit("blocks.", block))
    return (*units, Unit("classifier", Classifier(scale.num_classes)))


_PLAIN = partial(cifar_resnet, shortcut="none")
_TABLE_6 = "Deep Residual Learning (arXiv 1512.03385), table 6"
ENTRIES = {
    "cifar_plain20": Entry("cifar_resnet", 2015, CIFAR, partial(_PLAIN, 20), Published(dataset=CIFAR_10)),
    "cifar_plain56": Entry("cifar_resnet", 2015, CIFAR, partial(_PLAIN, 56), Published(dataset=CIFAR_10)),
    "cifar_resnet20": Entry(
        "cifar_resnet",
        2015,
        CIFAR,
        partial(cifar_resnet, 20),
        Published(269_722, 91.25, _TABLE_6, dataset=CIFAR_10),
    ),
    "cifar_resnet56": Entry(
        "cifar_resnet",
        2015,
        CIFAR,
        partial(cifar_resnet, 56),
        Published(853_018, 93.03, _TABLE_6, dataset=CIFAR_10),
    ),
    "cifar_resnet110_stochastic_depth": Entry(
        "stochastic_depth",
        2016,
        CIFAR,
        partial(cifar_resnet, 110, most_dropped=0.5),
        Published(1_727_962, 94.77, "Stochastic Depth (arXiv 1603.09382), table 1", dataset=CIFAR_10),
    ),
}
