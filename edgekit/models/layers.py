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
    "BatchNorm",
    "Concat",
    "Conv",
    "Dropout",
    "Flatten",
    "GlobalPool",
    "Layer",
    "Linear",
    "MaxPool",
    "Mul",
    "Tensor",
    "Window",
]

ActivationKind = Literal["relu", "relu6", "silu", "sigmoid", "hardswish"]

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
    """How one extent follows from another; ``kernel`` and ``stride`` are (height, width)."""

    source: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padded: bool
    ceil: bool


class Layer(Protocol):
    """What all rows have: the tensor they make and those they read."""

    @property
    def out(self) -> Tensor: ...
    @property
    def inputs(self) -> tuple[Tensor, ...]: ...


class Conv(NamedTuple):
    """Convolution. ``kernel`` and ``stride`` are (height, width); weights are OIHW."""

    out: Tensor
    inputs: tuple[Tensor, ...]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padded: bool
    groups: int
    bias: bool


class BatchNorm(NamedTuple):
    """Batch normalization of a convolution's output, folded into it when deployed."""

    out: Tensor
    inputs: tuple[Tensor, ...]


class Activation(NamedTuple):
    """A pointwise nonlinearity."""

    out: Tensor
    inputs: tuple[Tensor, ...]
    kind: ActivationKind


class MaxPool(NamedTuple):
    """Maximum over a window, without padding; ``ceil`` lets the last window hang over the edge."""

    out: Tensor
    inputs: tuple[Tensor, ...]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    ceil: bool


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


class Flatten(NamedTuple):
    """All axes seen as one; no copy."""

    out: Tensor
    inputs: tuple[Tensor, ...]


class Dropout(NamedTuple):
    """Active in training only; gone when deployed."""

    out: Tensor
    inputs: tuple[Tensor, ...]
    rate: float


class Linear(NamedTuple):
    """Fully connected layer with a bias; weights are ``[out, in]``."""

    out: Tensor
    inputs: tuple[Tensor, ...]
