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
    "AvgPool",
    "Block",
    "Classifier",
    "ConvBlock",
    "ConvClassifier",
    "Fire",
    "HiddenClassifier",
    "InvertedResidual",
    "MaxPool",
    "Perceptron",
    "ResponseNorm",
    "SeparableConv",
    "squeeze_excite",
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
    activation: ActivationKind | None
    norm: bool = True
    padded: bool = True
    pad: int = 0
    groups: int = 1
    bias: bool | None = None

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``conv``, ``conv_bn``, ``conv_act``."""
        return tape.conv(
            "conv",
            x,
            self.channels,
            self.kernel,
            self.stride,
            groups=self.groups,
            norm=self.norm,
            bias=self.bias,
            padded=self.padded,
            pad=self.pad,
            activation=self.activation,
        )


def squeeze_excite(
    tape: Tape, x: Tensor, channels: int, activation: ActivationKind, gate: ActivationKind
) -> Tensor:
    """Weigh the channels of ``x`` by what ``channels`` numbers say of the image (arXiv 1709.01507).

    ``se.pool``, ``se.reduce``, ``se.expand``, ``mul``.
    """
    y = tape.global_pool("se.pool", x)
    y = tape.conv("se.reduce", y, channels, norm=False, activation=activation)
    y = tape.conv("se.expand", y, x.channels, norm=False, activation=gate)
    return tape.mul("mul", x, y)


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

    MobileNetV3 (arXiv 1905.02244) states ``hidden`` channels rather than their ratio, squeezes to
    ``se_channels`` through ReLU and gates by a hard sigmoid.
    """

    channels: int
    expand: int
    kernel: int
    stride: int
    activation: ActivationKind
    se_ratio: float = 0.0
    hidden: int = 0
    se_channels: int = 0

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``expand``, ``depthwise``, ``se.*``, ``mul``, ``project``, ``add``."""
        hidden = self.hidden or x.channels * self.expand
        y = x
        if hidden != x.channels:
            y = tape.conv("expand", y, hidden, activation=self.activation)
        y = tape.conv(
            "depthwise", y, hidden, self.kernel, self.stride, groups=hidden, activation=self.activation
        )
        if self.se_ratio:
            squeezed = max(1, int(x.channels * self.se_ratio))
            y = squeeze_excite(tape, y, squeezed, self.activation, "sigmoid")
        if self.se_channels:
            y = squeeze_excite(tape, y, self.se_channels, "relu", "hardsigmoid")
        y = tape.conv("project", y, self.channels)
        residual = self.stride == 1 and self.channels == x.channels
        return tape.add("add", y, x) if residual else y


@dataclass(frozen=True)
class Fire:
    """Squeeze 1×1, then expand 1×1 and 3×3 side by side (arXiv 1602.07360, figure 2).

    With a ``bypass`` the input is added where it has as many channels (its section 6).
    """

    squeeze: int
    expand1x1: int
    expand3x3: int
    bypass: bool = False

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``squeeze``, ``expand1x1``, ``expand3x3``, ``concat``, ``add``."""
        y = tape.conv("squeeze", x, self.squeeze, norm=False, activation="relu")
        left = tape.conv("expand1x1", y, self.expand1x1, norm=False, activation="relu")
        right = tape.conv("expand3x3", y, self.expand3x3, 3, norm=False, activation="relu")
        y = tape.concat("concat", left, right)
        return tape.add("add", y, x) if self.bypass and y.channels == x.channels else y


@dataclass(frozen=True)
class MaxPool:
    """Max pooling; with ``ceil`` the last window may hang over the edge."""

    kernel: int
    stride: int
    pad: int = 0
    ceil: bool = False

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``pool``."""
        return tape.max_pool("pool", x, self.kernel, self.stride, pad=self.pad, ceil=self.ceil)


@dataclass(frozen=True)
class AvgPool:
    """Average pooling without padding."""

    kernel: int
    stride: int

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``pool``."""
        return tape.avg_pool("pool", x, self.kernel, self.stride)


@dataclass(frozen=True)
class ResponseNorm:
    """Local response normalization as AlexNet has it (section 3.3): n = 5, k = 2, α = 10⁻⁴, β = 0.75.

    ``alpha`` is the paper's α times n.
    """

    size: int = 5
    alpha: float = 5e-4
    beta: float = 0.75
    k: float = 2.0

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``norm``."""
        return tape.response_norm("norm", x, self.size, self.alpha, self.beta, self.k)


@dataclass(frozen=True)
class Classifier:
    """Global average, dropout, fully connected: images to ``(num_classes,)`` logits."""

    num_classes: int
    dropout: float = 0.0

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``pool``, ``flatten``, ``dropout``, ``linear``."""
        y = tape.flatten("flatten", tape.global_pool("pool", x))
        return tape.linear("linear", tape.dropout("dropout", y, self.dropout), self.num_classes)


@dataclass(frozen=True)
class HiddenClassifier:
    """Global average, one hidden layer, dropout, logits (MobileNetV3, arXiv 1905.02244, figure 5)."""

    hidden: int
    num_classes: int
    activation: ActivationKind
    dropout: float

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``pool``, ``flatten``, ``hidden``, ``hidden_act``, ``dropout``, ``linear``."""
        y = tape.flatten("flatten", tape.global_pool("pool", x))
        y = tape.activation("hidden_act", tape.linear("hidden", y, self.hidden), self.activation)
        return tape.linear("linear", tape.dropout("dropout", y, self.dropout), self.num_classes)


@dataclass(frozen=True)
class Perceptron:
    """Fully connected layers on the whole image, one weight for every pixel of every channel.

    Dropout stands before every layer that reads ``hidden`` ones, with ``drops_input`` before the first too.
    """

    hidden: tuple[int, ...]
    num_classes: int
    activation: ActivationKind
    dropout: float = 0.0
    drops_input: bool = False

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``flatten``, then ``linear1``, ``linear1_act``, ``dropout1`` … up to the last ``linear``."""
        y = tape.flatten("flatten", x)
        if self.drops_input:
            y = tape.dropout("dropout0", y, self.dropout)
        for index, features in enumerate(self.hidden, start=1):
            y = tape.linear(f"linear{index}", y, features)
            y = tape.activation(f"linear{index}_act", y, self.activation)
            y = tape.dropout(f"dropout{index}", y, self.dropout) if self.dropout else y
        return tape.linear("linear", y, self.num_classes)


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
