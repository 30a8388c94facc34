"""Xception: Inception taken to its end, every channel filtered by itself, in residual blocks.

Xception: Deep Learning with Depthwise Separable Convolutions (arXiv 1610.02357), figure 5. Width multiplies
every channel count but the classes; depth multiplies the blocks of the middle flow, rounded up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from edgekit.models.blocks import Classifier, ConvBlock
from edgekit.models.entry import Entry, Published
from edgekit.models.layers import Tensor
from edgekit.models.network import Unit
from edgekit.models.scale import Scale, round_channels, round_repeats
from edgekit.models.tape import Tape

__all__ = ["ENTRIES", "XCEPTION", "FlowRow", "SeparableResidual", "SeparableTail", "xception"]


class FlowRow(NamedTuple):
    """``repeats`` blocks of separable convolutions with so many channels each."""

    channels: tuple[int, ...]
    stride: int = 2
    repeats: int = 1
    activates_first: bool = True


XCEPTION = (
    FlowRow((128, 128), activates_first=False),
    FlowRow((256, 256)),
    FlowRow((728, 728)),
    FlowRow((728, 728, 728), stride=1, repeats=8),
    FlowRow((728, 1024)),
)
"""Figure 5: entry flow, middle flow, and the exit flow's block."""

STEM = (32, 64)
TAIL = (1536, 2048)


def _separable(tape: Tape, name: str, x: Tensor, channels: int) -> Tensor:
    """Depthwise, then pointwise convolution with batch norm behind both: nothing stands between them."""
    y = tape.conv(f"{name}.depthwise", x, x.channels, 3, groups=x.channels, norm=False, bias=False)
    return tape.conv(f"{name}.pointwise", y, channels)


@dataclass(frozen=True)
class SeparableResidual:
    """ReLU and separable convolution, as often as there are ``channels``, then a strided max pool; added."""

    channels: tuple[int, ...]
    stride: int
    activates_first: bool

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``act1``, ``conv1.*``, …, ``pool``, ``shortcut``, ``add``."""
        y = x
        for index, channels in enumerate(self.channels, start=1):
            if index > 1 or self.activates_first:
                y = tape.activation(f"{y.name}_act" if index > 1 else "act1", y, "relu")
            y = _separable(tape, f"conv{index}", y, channels)
        if self.stride > 1:
            y = tape.max_pool("pool", y, 3, self.stride, pad=1)
        skip = x
        if self.stride > 1 or y.channels != x.channels:
            skip = tape.conv("shortcut", x, y.channels, stride=self.stride)
        return tape.add("add", y, skip)


@dataclass(frozen=True)
class SeparableTail:
    """A separable convolution, then ReLU."""

    channels: int

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``conv.*`` and ReLU."""
        y = _separable(tape, "conv", x, self.channels)
        return tape.activation(f"{y.name}_act", y, "relu")


def xception(scale: Scale) -> tuple[Unit, ...]:
    """The network of figure 5."""
    first, second = (round_channels(channels, scale.width) for channels in STEM)
    units = [
        Unit("stem", ConvBlock(first, 3, 2, "relu", padded=False)),
        Unit("convs.", ConvBlock(second, 3, 1, "relu", padded=False)),
    ]
    for row in XCEPTION:
        channels = tuple(round_channels(each, scale.width) for each in row.channels)
        block = SeparableResidual(channels, row.stride, row.activates_first)
        repeats = round_repeats(row.repeats, scale.depth) if row.repeats > 1 else 1
        units.append(Unit("blocks.", block, repeats))
    units += [Unit("tail.", SeparableTail(round_channels(channels, scale.width))) for channels in TAIL]
    return (*units, Unit("classifier", Classifier(scale.num_classes)))


ENTRIES = {
    "xception": Entry(
        "xception",
        2016,
        Scale(resolution=299),
        xception,
        Published(22_855_952, 79.058, "huggingface/pytorch-image-models results/", 94.396),
    )
}
