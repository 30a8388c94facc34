"""The building blocks that families share, each a frozen row of numbers that records its layers.

One tensor flows into a block and one flows out. A new block is a frozen dataclass with a
``record`` method; the cost model and the torch module need nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edgekit.models.layers import ActivationKind, Tensor
from edgekit.models.tape import Tape

__all__ = [
    "Block",
    "Classifier",
    "ConvBlock",
    "ConvClassifier",
    "Fire",
    "InvertedResidual",
    "MaxPool",
    "SeparableConv",
]


class Block(Protocol):
    """A part of a network with one input and one output; hashable, so that costs can be cached."""

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """Record the layers that turn ``x`` into the block's output."""
        ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True)
class ConvBlock:
    """A convolution with batch norm (or, without, a bias) and an activation: a stem or a head."""

    channels: int
    kernel: int
    stride: int
    activation: ActivationKind
    norm: bool = True
    padded: bool = True

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``conv``, ``conv_bn``, ``conv_act``."""
        return tape.conv(
            "conv",
            x,
            self.channels,
            self.kernel,
            self.stride,
            norm=self.norm,
            padded=self.padded,
            activation=self.activation,
        )


@dataclass(frozen=True)
class SeparableConv:
    """Depthwise 3×3 and pointwise convolution, each with batch norm and activation.

    MobileNets (arXiv 1704.04861), figure 3.
    """

    channels: int
    stride: int
    activation: ActivationKind

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``depthwise`` and ``pointwise``."""
        width = x.channels
        y = tape.conv("depthwise", x, width, 3, self.stride, groups=width, activation=self.activation)
        return tape.conv("pointwise", y, self.channels, activation=self.activation)


@dataclass(frozen=True)
class InvertedResidual:
    """Expand, filter depthwise, squeeze and excite, project; added to the input where shapes allow.

    MobileNetV2's bottleneck (arXiv 1801.04381, table 1) without squeeze-and-excitation,
    EfficientNet's MBConv (arXiv 1905.11946, section 4) with it. ``se_ratio`` is the width of the
    squeeze as a share of the block's input; 0 is none.
    """

    channels: int
    expand: int
    kernel: int
    stride: int
    activation: ActivationKind
    se_ratio: float = 0.0

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``expand``, ``depthwise``, ``se.*``, ``mul``, ``project``, ``add``."""
        hidden = x.channels * self.expand
        y = x
        if self.expand != 1:
            y = tape.conv("expand", y, hidden, activation=self.activation)
        y = tape.conv(
            "depthwise", y, hidden, self.kernel, self.stride, groups=hidden, activation=self.activation
        )
        if self.se_ratio:
            y = self._squeeze_excite(tape, y, max(1, int(x.channels * self.se_ratio)))
        y = tape.conv("project", y, self.channels)
        residual = self.stride == 1 and self.channels == x.channels
        return tape.add("add", y, x) if residual else y

    def _squeeze_excite(self, tape: Tape, x: Tensor, channels: int) -> Tensor:
        gate = tape.global_pool("se.pool", x)
        gate = tape.conv("se.reduce", gate, channels, norm=False, activation=self.activation)
        gate = tape.conv("se.expand", gate, x.channels, norm=False, activation="sigmoid")
        return tape.mul("mul", x, gate)


@dataclass(frozen=True)
class Fire:
    """Squeeze 1×1, then expand 1×1 and 3×3 side by side (arXiv 1602.07360, figure 2)."""

    squeeze: int
    expand1x1: int
    expand3x3: int

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``squeeze``, ``expand1x1``, ``expand3x3``, ``concat``."""
        y = tape.conv("squeeze", x, self.squeeze, norm=False, activation="relu")
        left = tape.conv("expand1x1", y, self.expand1x1, norm=False, activation="relu")
        right = tape.conv("expand3x3", y, self.expand3x3, 3, norm=False, activation="relu")
        return tape.concat("concat", left, right)


@dataclass(frozen=True)
class MaxPool:
    """Max pooling without padding; the last window may hang over the edge."""

    kernel: int
    stride: int

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``pool``."""
        return tape.max_pool("pool", x, self.kernel, self.stride, ceil=True)


@dataclass(frozen=True)
class Classifier:
    """Global average, dropout, fully connected: images to ``(num_classes,)`` logits."""

    num_classes: int
    dropout: float

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``pool``, ``flatten``, ``dropout``, ``linear``."""
        y = tape.flatten("flatten", tape.global_pool("pool", x))
        return tape.linear("linear", tape.dropout("dropout", y, self.dropout), self.num_classes)


@dataclass(frozen=True)
class ConvClassifier:
    """Dropout, 1×1 convolution, ReLU, global average (arXiv 1602.07360, table 1: conv10)."""

    num_classes: int
    dropout: float

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``dropout``, ``conv``, ``conv_act``, ``pool``, ``flatten``."""
        y = tape.dropout("dropout", x, self.dropout)
        y = tape.conv("conv", y, self.num_classes, norm=False, activation="relu")
        return tape.flatten("flatten", tape.global_pool("pool", y))
