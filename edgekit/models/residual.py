"""Residual blocks: what a branch computes is added to what went into it.

One block with its options serves ResNet, Wide ResNet, ResNeXt, their squeeze-and-excitation and
stochastic-depth variants, and the plain networks that ResNet is compared with; a second one, which
normalizes first, serves the pre-activation networks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgekit.models.blocks import Block, squeeze_excite
from edgekit.models.layers import ActivationKind, Tensor
from edgekit.models.tape import Tape

__all__ = ["NormActivation", "PreActivation", "Residual", "Shortcut", "SqueezeExcited"]

Shortcut = Literal["projection", "padding", "none"]
"""Where the shape changes: a strided 1×1 convolution (option B), every other pixel and channels of zeros
(option A), or no shortcut in any block (arXiv 1512.03385, sections 3.3 and 4.2)."""


@dataclass(frozen=True)
class Residual:
    """Two 3×3 convolutions, or, with a ``bottleneck`` of so many channels, 1×1, 3×3 and 1×1.

    Deep Residual Learning (arXiv 1512.03385), figure 5; the 3×3 convolution has the stride, as in the
    networks whose weights are in use. ``groups`` are those of the bottleneck's 3×3 (ResNeXt, arXiv
    1611.05431, figure 3c). ``se_reduction`` squeezes the branch to that part of its channels (arXiv
    1709.01507, figure 3), 0 does not. Training drops the branch for a share ``drop_rate`` of the images.
    """

    channels: int
    stride: int
    bottleneck: int = 0
    groups: int = 1
    shortcut: Shortcut = "projection"
    se_reduction: int = 0
    drop_rate: float = 0.0

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``conv1`` …, ``se.*``, ``mul``, ``drop``, ``shortcut``, ``add``, and ReLU."""
        y = self._branch(tape, x)
        if self.se_reduction:
            y = squeeze_excite(tape, y, max(1, self.channels // self.se_reduction), "relu", "sigmoid")
        if self.drop_rate:
            y = tape.drop_path("drop", y, self.drop_rate)
        if self.shortcut != "none":
            y = tape.add("add", y, self._shortcut(tape, x))
        return tape.activation(f"{y.name}_act", y, "relu")

    def _branch(self, tape: Tape, x: Tensor) -> Tensor:
        if not self.bottleneck:
            y = tape.conv("conv1", x, self.channels, 3, self.stride, activation="relu")
            return tape.conv("conv2", y, self.channels, 3)
        y = tape.conv("conv1", x, self.bottleneck, activation="relu")
        y = tape.conv("conv2", y, self.bottleneck, 3, self.stride, groups=self.groups, activation="relu")
        return tape.conv("conv3", y, self.channels)

    def _shortcut(self, tape: Tape, x: Tensor) -> Tensor:
        if self.stride == 1 and self.channels == x.channels:
            return x
        if self.shortcut == "projection":
            return tape.conv("shortcut", x, self.channels, stride=self.stride)
        y = tape.avg_pool("shortcut.pool", x, kernel=1, stride=self.stride) if self.stride > 1 else x
        return tape.pad_channels("shortcut.pad", y, self.channels) if y.channels < self.channels else y


@dataclass(frozen=True)
class PreActivation:
    """A residual block that normalizes and activates before its convolutions, and adds at the very end.

    Identity Mappings in Deep Residual Networks (arXiv 1603.05027), figure 4e; where the shape changes,
    the shortcut is a convolution of the activated input. ``normalizes`` is false for a first block behind
    a convolution that is normalized and activated itself, which is the same. ``dropout`` stands between
    the two 3×3 convolutions (Wide Residual Networks, arXiv 1605.07146, figure 1d).
    """

    channels: int
    stride: int
    bottleneck: int = 0
    normalizes: bool = True
    dropout: float = 0.0

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``norm``, ``norm_act``, ``conv1`` …, ``shortcut``, ``add``."""
        y = x
        if self.normalizes:
            y = tape.activation("norm_act", tape.norm("norm", x), "relu")
        changes = self.stride != 1 or self.channels != x.channels
        branch = self._branch(tape, y)
        skip = x
        if changes:
            skip = tape.conv("shortcut", y, self.channels, stride=self.stride, norm=False, bias=False)
        return tape.add("add", branch, skip)

    def _branch(self, tape: Tape, x: Tensor) -> Tensor:
        if self.bottleneck:
            y = tape.conv("conv1", x, self.bottleneck, activation="relu")
            y = tape.conv("conv2", y, self.bottleneck, 3, self.stride, activation="relu")
            return tape.conv("conv3", y, self.channels, norm=False, bias=False)
        y = tape.conv("conv1", x, self.channels, 3, self.stride, activation="relu")
        y = tape.dropout("dropout", y, self.dropout) if self.dropout else y
        return tape.conv("conv2", y, self.channels, 3, norm=False, bias=False)


@dataclass(frozen=True)
class NormActivation:
    """Batch norm and an activation: the end of a network whose blocks normalize first."""

    activation: ActivationKind = "relu"

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``norm``, ``norm_act``."""
        return tape.activation("norm_act", tape.norm("norm", x), self.activation)


@dataclass(frozen=True)
class SqueezeExcited:
    """Any block, its output's channels weighed by squeeze-and-excitation (arXiv 1709.01507, figure 2)."""

    inner: Block
    reduction: int = 16

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """The inner block's layers, then ``se.*``, ``mul``."""
        y = self.inner.record(tape, x)
        return squeeze_excite(tape, y, max(1, y.channels // self.reduction), "relu", "sigmoid")
