"""The layers a block is made of, as immutable rows that hold for every resolution.

A row knows its channels; its height and width are a symbol, an *extent*, that stands for the block's
input, for a single point, or for what a window leaves of another extent. So a block is recorded
once for a channel count, and sizes, costs and modules follow from the same rows.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

__all__ = [
    "INPUT",
    "INPUT_EXTENT",
    "POINT_EXTENT",
    "Activation",
    "ActivationKind",
    "Add",
    "AvgPool",
    "BatchNorm",
    "Concat",
    "Conv",
    "DropPath",
    "Dropout",
    "Factor",
    "Flatten",
    "GlobalPool",
    "Layer",
    "Linear",
    "MaxPool",
    "Mean",
    "Mul",
    "Narrow",
    "PadChannels",
    "ResponseNorm",
    "Shuffle",
    "Tensor",
    "Window",
]

ActivationKind = Literal["relu", "relu6", "silu", "sigmoid", "hardswish", "hardsigmoid", "tanh"]

INPUT = ""
"""Name of a block's input."""
INPUT_EXTENT = 0
POINT_EXTENT = 1


class Tensor(NamedTuple):
    """A value. ``name`` is the layer that makes it, or :data:`INPUT`.

    Its shape without the batch is ``(channels, height, width)``, or, ``flat``, their product.
    """

    name: str
    channels: int
    extent: int
    flat: bool = False


class Window(NamedTuple):
    """How one extent follows from another; ``kernel`` and ``stride`` are (height, width).

    ``padded`` is the padding of the network's convention, which leaves ``ceil(size / stride)``; without,
    ``pad`` pixels are put on every side. ``ceil`` lets the last window hang over the edge.
    """

    source: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padded: bool = False
    pad: int = 0
    ceil: bool = False


class Layer(Protocol):
    """What all rows have: the tensor they make and those they read."""

    @property
    def out(self) -> Tensor: ...
    @property
    def inputs(self) -> tuple[Tensor, ...]: ...


class Conv(NamedTuple):
    """Convolution over a :class:`Window`; weights are OIHW."""

    out: Tensor
    inputs: tuple[Tensor, ...]
    window: Window
    groups: int
    bias: bool

    @property
    def kernel(self) -> tuple[int, int]:
        """(height, width)."""
        return self.window.kernel

    @property
    def stride(self) -> tuple[int, int]:
        """(vertical, horizontal)."""
        return self.window.stride


class BatchNorm(NamedTuple):
    """Batch normalization: deployed, a part of the convolution before it, else a 1×1 depthwise one."""

    out: Tensor
    inputs: tuple[Tensor, ...]


class Activation(NamedTuple):
    """A pointwise nonlinearity."""

    out: Tensor
    inputs: tuple[Tensor, ...]
    kind: ActivationKind


class MaxPool(NamedTuple):
    """Maximum over a window; padding is never the largest."""

    out: Tensor
    inputs: tuple[Tensor, ...]
    window: Window


class AvgPool(NamedTuple):
    """Average over a window; ``counts_padding`` divides by its size at the edges too."""

    out: Tensor
    inputs: tuple[Tensor, ...]
    window: Window
    counts_padding: bool


class ResponseNorm(NamedTuple):
    """Local response normalization across ``size`` neighbouring channels.

    ``x / (k + alpha / size · Σ x²)^beta``: what AlexNet's paper calls α is ``alpha / size`` here.
    """

    out: Tensor
    inputs: tuple[Tensor, ...]
    size: int
    alpha: float
    beta: float
    k: float


class GlobalPool(NamedTuple):
    """Average over the whole image."""

    out: Tensor
    inputs: tuple[Tensor, ...]


class Add(NamedTuple):
    """Sum of two tensors of one shape."""

    out: Tensor
    inputs: tuple[Tensor, ...]


class Mul(NamedTuple):
    """Product of two tensors; the second may be a point."""

    out: Tensor
    inputs: tuple[Tensor, ...]


class Concat(NamedTuple):
    """Tensors joined along the channels."""

    out: Tensor
    inputs: tuple[Tensor, ...]


class Mean(NamedTuple):
    """Average of tensors of one shape; in training some of them are dropped (FractalNet's drop-path).

    A join drops every input by itself with probability ``rate``, but never all.
    """

    out: Tensor
    inputs: tuple[Tensor, ...]
    rate: float


class Factor(NamedTuple):
    """A convolution's output times a constant, folded into it when deployed."""

    out: Tensor
    inputs: tuple[Tensor, ...]
    value: float


class Narrow(NamedTuple):
    """As many channels as ``out`` has, from channel ``start`` on."""

    out: Tensor
    inputs: tuple[Tensor, ...]
    start: int


class PadChannels(NamedTuple):
    """Channels of zeros behind those of the input."""

    out: Tensor
    inputs: tuple[Tensor, ...]


class Shuffle(NamedTuple):
    """The channels of ``groups`` equal groups by turns: the first of each, then the second of each."""

    out: Tensor
    inputs: tuple[Tensor, ...]
    groups: int


class Flatten(NamedTuple):
    """All axes seen as one; no copy."""

    out: Tensor
    inputs: tuple[Tensor, ...]


class Dropout(NamedTuple):
    """Active in training only; gone when deployed."""

    out: Tensor
    inputs: tuple[Tensor, ...]
    rate: float


class DropPath(NamedTuple):
    """A branch that training drops for a share ``rate`` of the images; gone when deployed.

    What is kept is divided by ``1 - rate``, so that deployment needs no factor.
    """

    out: Tensor
    inputs: tuple[Tensor, ...]
    rate: float


class Linear(NamedTuple):
    """Fully connected layer with a bias; weights are ``[out, in]``."""

    out: Tensor
    inputs: tuple[Tensor, ...]
