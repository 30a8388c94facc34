"""ShuffleNet v2: half the channels pass by, half are convolved, then both are shuffled.

ShuffleNet V2: Practical Guidelines for Efficient CNN Architecture Design (arXiv 1807.11164). Width
multiplies every channel count but the classes; depth multiplies the blocks of every stage, rounded up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from edgekit.models.blocks import Classifier, ConvBlock, MaxPool
from edgekit.models.entry import Entry, Published
from edgekit.models.layers import Tensor
from edgekit.models.network import Unit, repeated
from edgekit.models.scale import Scale, round_channels, round_repeats
from edgekit.models.tape import Tape

__all__ = ["CHANNELS", "ENTRIES", "REPEATS", "ShuffleUnit", "shufflenet_v2"]

CHANNELS = {
    "0.5": (24, 48, 96, 192, 1024),
    "1.0": (24, 116, 232, 464, 1024),
    "1.5": (24, 176, 352, 704, 1024),
    "2.0": (24, 244, 488, 976, 2048),
}
"""Table 5: channels of the first convolution, the three stages and the last convolution."""
REPEATS = (4, 8, 4)
"""Its units of each stage."""

_HALVES = 2


@dataclass(frozen=True)
class ShuffleUnit:
    """Half of the channels through 1×1, depthwise 3×3 and 1×1; with a stride, all through both halves.

    Figure 3, c and d.
    """

    channels: int
    stride: int

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``pass``, ``left.*``, ``split``, ``right.*``, ``concat``, ``shuffle``."""
        half = self.channels // _HALVES
        if self.stride == 1:
            passed = tape.narrow("pass", x, 0, half)
            y = tape.narrow("split", x, half, half)
        else:
            passed, y = self._left(tape, x, half), x
        y = tape.conv("right.expand", y, half, activation="relu")
        y = tape.conv("right.depthwise", y, half, 3, self.stride, groups=half)
        y = tape.conv("right.project", y, half, activation="relu")
        return tape.shuffle("shuffle", tape.concat("concat", passed, y), _HALVES)

    def _left(self, tape: Tape, x: Tensor, half: int) -> Tensor:
        y = tape.conv("left.depthwise", x, x.channels, 3, self.stride, groups=x.channels)
        return tape.conv("left.project", y, half, activation="relu")


def shufflenet_v2(channels: tuple[int, ...], scale: Scale) -> tuple[Unit, ...]:
    """The network of table 5 with the channels of one column."""
    stem, *stages, head = (round_channels(each, scale.width, divisor=4) for each in channels)
    units = [
        Unit("stem", ConvBlock(stem, kernel=3, stride=2, activation="relu")),
        Unit("pool", MaxPool(kernel=3, stride=2, pad=1)),
    ]
    for width, repeats in zip(stages, REPEATS, strict=True):
        first, other = ShuffleUnit(width, 2), ShuffleUnit(width, 1)
        units += repeated("blocks.", first, other, round_repeats(repeats, scale.depth))
    return (
        *units,
        Unit("head", ConvBlock(head, kernel=1, stride=1, activation="relu")),
        Unit("classifier", Classifier(scale.num_classes)),
    )


_TORCHVISION = "pytorch/vision torchvision/models/shufflenetv2.py"
_PUBLISHED = {
    "0.5": Published(1_366_792, 60.552, _TORCHVISION, 81.746),
    "1.0": Published(2_278_604, 69.362, _TORCHVISION, 88.316),
    "1.5": Published(3_503_624, 72.996, _TORCHVISION, 91.086),
    "2.0": Published(7_393_996, 76.230, _TORCHVISION, 93.006),
}
ENTRIES = {
    f"shufflenet_v2_x{column.replace('.', '_')}": Entry(
        "shufflenet_v2", 2018, Scale(), partial(shufflenet_v2, CHANNELS[column]), published
    )
    for column, published in _PUBLISHED.items()
}
