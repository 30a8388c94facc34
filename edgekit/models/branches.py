"""Branches side by side, joined along the channels: what every Inception module is made of.

A module is a table of branches, a branch a row of convolutions and pools.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from edgekit.models.layers import Tensor
from edgekit.models.scale import round_channels
from edgekit.models.tape import Tape

__all__ = ["Branch", "Branches", "C", "Fork", "P", "ScaledResidual", "scaled"]


class C(NamedTuple):
    """A convolution with batch norm and ReLU; ``kernel`` is (height, width), ``valid`` without padding."""

    channels: int
    kernel: int | tuple[int, int] = 1
    stride: int = 1
    valid: bool = False


class P(NamedTuple):
    """A pool; with stride 1 it pads to keep the size, with stride 2 it does not pad."""

    kind: Literal["max", "avg"]
    stride: int = 1
    kernel: int = 3
    counts_padding: bool = True


class Fork(NamedTuple):
    """Convolutions side by side at the end of a branch."""

    left: C
    right: C


Branch: TypeAlias = "tuple[C | P | Fork, ...]"


def scaled(branches: tuple[Branch, ...], width: float) -> tuple[Branch, ...]:
    """The table at another width."""
    return tuple(tuple(_scaled_step(step, width) for step in branch) for branch in branches)


def _scaled_step(step: C | P | Fork, width: float) -> C | P | Fork:
    if isinstance(step, P):
        return step
    if isinstance(step, Fork):
        return Fork(_scaled_conv(step.left, width), _scaled_conv(step.right, width))
    return _scaled_conv(step, width)


def _scaled_conv(conv: C, width: float) -> C:
    return conv._replace(channels=round_channels(conv.channels, width))


@dataclass(frozen=True)
class Branches:
    """The branches of a table, each from the same input, joined in their order."""

    branches: tuple[Branch, ...]
    norm: bool = True

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """``branch0.0``, ``branch0.1``, …, a fork's ``branch1.1a`` and ``branch1.1b``, and ``concat``."""
        ends = [self._branch(tape, x, f"branch{index}", branch) for index, branch in enumerate(self.branches)]
        return tape.concat("concat", *ends)

    def _branch(self, tape: Tape, x: Tensor, name: str, branch: Branch) -> Tensor:
        for index, step in enumerate(branch):
            place = f"{name}.{index}"
            if isinstance(step, Fork):
                left = self._conv(tape, x, f"{place}a", step.left)
                x = tape.concat(f"{name}.concat", left, self._conv(tape, x, f"{place}b", step.right))
            elif isinstance(step, P):
                x = _pool(tape, x, place, step)
            else:
                x = self._conv(tape, x, place, step)
        return x

    def _conv(self, tape: Tape, x: Tensor, name: str, conv: C) -> Tensor:
        return tape.conv(
            name,
            x,
            conv.channels,
            conv.kernel,
            conv.stride,
            padded=not conv.valid,
            norm=self.norm,
            activation="relu",
        )


def _pool(tape: Tape, x: Tensor, name: str, pool: P) -> Tensor:
    pad = pool.kernel // 2 if pool.stride == 1 else 0
    if pool.kind == "max":
        return tape.max_pool(name, x, pool.kernel, pool.stride, pad=pad)
    return tape.avg_pool(name, x, pool.kernel, pool.stride, pad=pad, counts_padding=pool.counts_padding)


@dataclass(frozen=True)
class ScaledResidual:
    """Branches, a 1×1 convolution back to the input's channels, scaled down and added to it.

    Inception-v4, Inception-ResNet (arXiv 1602.07261), section 3.3 and figure 20.
    """

    inner: Branches
    scale: float
    activates: bool = True

    def record(self, tape: Tape, x: Tensor) -> Tensor:
        """The branches' layers, ``up``, ``scale``, ``add``, and ReLU."""
        y = tape.conv("up", self.inner.record(tape, x), x.channels, norm=False)
        y = tape.add("add", tape.factor("scale", y, self.scale), x)
        return tape.activation(f"{y.name}_act", y, "relu") if self.activates else y
