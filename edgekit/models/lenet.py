"""LeNet-5: convolutions, averages and three fully connected layers, for one gray digit.

Gradient-Based Learning Applied to Document Recognition (LeCun et al., 1998), figure 2, as it is built
today: averages without trainable coefficients, every feature map of the second convolution connected to
all of the first, and logits instead of distances to drawn digits. Width multiplies every channel count
but the classes; there is nothing to repeat.
"""

from __future__ import annotations

from functools import partial

from edgekit.models.blocks import AvgPool, ConvBlock, Perceptron
from edgekit.models.entry import Entry, Published
from edgekit.models.network import Unit
from edgekit.models.scale import Scale, round_channels

__all__ = ["CONVOLUTIONS", "ENTRIES", "HIDDEN", "lenet5"]

CONVOLUTIONS = (6, 16)
"""Maps of C1 and C3."""
HIDDEN = (120, 84)
"""Units of C5, whose kernels cover the whole image, and F6."""

_KERNEL = 5


def lenet5(pads_input: bool, scale: Scale) -> tuple[Unit, ...]:
    """LeNet-5; digits of 28 pixels stand in the middle of its 32 when the first layer ``pads_input``."""
    first, second = (round_channels(channels, scale.width, divisor=1) for channels in CONVOLUTIONS)
    hidden = tuple(round_channels(features, scale.width, divisor=1) for features in HIDDEN)
    return (
        Unit("stem", ConvBlock(first, _KERNEL, 1, "tanh", norm=False, padded=pads_input)),
        Unit("pools.", AvgPool(kernel=2, stride=2)),
        Unit("blocks.", ConvBlock(second, _KERNEL, 1, "tanh", norm=False, padded=False)),
        Unit("pools.", AvgPool(kernel=2, stride=2)),
        Unit("classifier", Perceptron(hidden, scale.num_classes, "tanh")),
    )


_PUBLISHED = Published(61_706, 99.05, "LeCun et al. 1998, figure 9", dataset="MNIST")
ENTRIES = {
    f"lenet5{suffix}": Entry(
        "lenet",
        1998,
        Scale(resolution=resolution, num_classes=10, in_channels=1),
        partial(lenet5, resolution == 28),
        _PUBLISHED,
        has_depth=False,
    )
    for suffix, resolution in (("", 32), ("_28", 28))
}
