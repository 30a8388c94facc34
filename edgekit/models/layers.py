"""The layers a block is made of, and the tape that records them with their shapes.

A layer is an immutable row: its name inside the block, the tensors it reads, and its output shape
without the batch, ``(channels, height, width)`` or ``(features,)``. Both the cost model and the
torch module are read off these rows, so they cannot disagree.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

__all__ = [
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
    "Mul",
    "Padding",
    "Pads",
    "Pool",
    "Shape",
    "Tape",
    "Tensor",
    "TooSmallError",
]

Shape = tuple[int, ...]
Pads = tuple[int, int, int, int]
"""Rows and columns of zeros added at the top, left, bottom and right."""
Padding = Literal["torch", "same"]
"""``torch``: ``(kernel - 1) / 2`` on every side. ``same``: TensorFlow's SAME, the odd row at the bottom and right."""
ActivationKind = Literal["relu", "relu6", "silu", "sigmoid", "hardswish"]


class TooSmallError(Exception):
    """A strided layer has nothing left to reduce; :mod:`edgekit.models.network` says what would do."""


class Tensor(NamedTuple):
    """A value on the tape. ``name`` is the layer that made it, or "" for the block's input."""

    name: str
    shape: Shape


class Conv(NamedTuple):
    """Convolution. ``kernel`` and ``stride`` are (height, width); weights are OIHW."""

    name: str
    inputs: tuple[str, ...]
    shape: Shape
    in_channels: int
    out_channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pads: Pads
    groups: int
    bias: bool


class BatchNorm(NamedTuple):
    """Batch normalization of a convolution's output, folded into it when deployed."""

    name: str
    inputs: tuple[str, ...]
    shape: Shape
    eps: float


class Activation(NamedTuple):
    """A pointwise nonlinearity."""

    name: str
    inputs: tuple[str, ...]
    shape: Shape
    kind: ActivationKind


class Pool(NamedTuple):
    """Max or average over a window; ``ceil`` lets the last window hang over the edge."""

    name: str
    inputs: tuple[str, ...]
    shape: Shape
    kind: Literal["max", "average"]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pads: Pads
    ceil: bool


class GlobalPool(NamedTuple):
    """Average over the whole image, to ``(channels, 1, 1)``."""

    name: str
    inputs: tuple[str, ...]
    shape: Shape


class Add(NamedTuple):
    """Sum of two tensors of one shape."""

    name: str
    inputs: tuple[str, ...]
    shape: Shape


class Mul(NamedTuple):
    """Product of two tensors; one may be ``(channels, 1, 1)``."""

    name: str
    inputs: tuple[str, ...]
    shape: Shape


class Concat(NamedTuple):
    """Tensors joined along the channels."""

    name: str
    inputs: tuple[str, ...]
    shape: Shape


class Linear(NamedTuple):
    """Fully connected layer with a bias; weights are ``[out, in]``."""

    name: str
    inputs: tuple[str, ...]
    shape: Shape
    in_features: int
    out_features: int


class Flatten(NamedTuple):
    """``(channels, 1, 1)`` seen as ``(channels,)``; no copy."""

    name: str
    inputs: tuple[str, ...]
    shape: Shape


class Dropout(NamedTuple):
    """Active in training only; gone when deployed."""

    name: str
    inputs: tuple[str, ...]
    shape: Shape
    rate: float


Layer = (
    Conv | BatchNorm | Activation | Pool | GlobalPool | Add | Mul | Concat | Linear | Flatten | Dropout
)  # fmt: skip


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def _same_pads(size: int, kernel: int, stride: int) -> tuple[int, int]:
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _torch_pads(size: int, kernel: int, stride: int) -> tuple[int, int]:
    half = (kernel - 1) // 2
    return half, half


_PADS = {"torch": _torch_pads, "same": _same_pads}


def _windows(size: int, kernel: int, stride: int, *, ceil: bool) -> int:
    """How many windows fit ``size`` (padding included)."""
    steps = -((kernel - size) // stride) if ceil else (size - kernel) // stride
    return steps + 1


class Tape:
    """Records layers as a block calls for them; every method returns the layer's output."""

    def __init__(self, padding: Padding, bn_eps: float) -> None:
        self.layers: list[Layer] = []
        self._pads = _PADS[padding]
        self._bn_eps = bn_eps

    def _put(self, layer: Layer) -> Tensor:
        self.layers.append(layer)
        return Tensor(layer.name, layer.shape)

    def _slide(
        self, x: Tensor, kernel: tuple[int, int], stride: tuple[int, int], *, padded: bool, ceil: bool = False
    ) -> tuple[Pads, int, int]:
        """Padding, and the height and width of the output."""
        _, height, width = x.shape
        if height < stride[0] or width < stride[1]:
            raise TooSmallError
        top, bottom = self._pads(height, kernel[0], stride[0]) if padded else (0, 0)
        left, right = self._pads(width, kernel[1], stride[1]) if padded else (0, 0)
        out_height = _windows(height + top + bottom, kernel[0], stride[0], ceil=ceil)
        out_width = _windows(width + left + right, kernel[1], stride[1], ceil=ceil)
        if out_height < 1 or out_width < 1:
            raise TooSmallError
        return (top, left, bottom, right), out_height, out_width

    def conv(
        self,
        name: str,
        x: Tensor,
        channels: int,
        kernel: int | tuple[int, int] = 1,
        stride: int | tuple[int, int] = 1,
        *,
        groups: int = 1,
        padded: bool = True,
        norm: bool = True,
        activation: ActivationKind | None = None,
    ) -> Tensor:
        """Convolution, then batch norm (or a bias when ``norm`` is false), then an activation.

        They are named ``name``, ``name_bn`` and ``name_act``.
        """
        window, step = _pair(kernel), _pair(stride)
        pads, height, width = self._slide(x, window, step, padded=padded)
        shape = (channels, height, width)
        layer = Conv(name, (x.name,), shape, x.shape[0], channels, window, step, pads, groups, not norm)
        out = self._put(layer)
        if norm:
            out = self._put(BatchNorm(f"{name}_bn", (out.name,), shape, self._bn_eps))
        return self.activation(f"{name}_act", out, activation) if activation else out

    def activation(self, name: str, x: Tensor, kind: ActivationKind) -> Tensor:
        """A pointwise nonlinearity."""
        return self._put(Activation(name, (x.name,), x.shape, kind))

    def max_pool(self, name: str, x: Tensor, kernel: int, stride: int, *, ceil: bool = False) -> Tensor:
        """Maximum over ``kernel`` × ``kernel`` windows, without padding."""
        window, step = _pair(kernel), _pair(stride)
        pads, height, width = self._slide(x, window, step, padded=False, ceil=ceil)
        shape = (x.shape[0], height, width)
        return self._put(Pool(name, (x.name,), shape, "max", window, step, pads, ceil))

    def global_pool(self, name: str, x: Tensor) -> Tensor:
        """Average over the whole image."""
        return self._put(GlobalPool(name, (x.name,), (x.shape[0], 1, 1)))

    def add(self, name: str, x: Tensor, y: Tensor) -> Tensor:
        """``x + y``."""
        return self._put(Add(name, (x.name, y.name), x.shape))

    def mul(self, name: str, x: Tensor, y: Tensor) -> Tensor:
        """``x * y``, where ``y`` may be one number per channel."""
        return self._put(Mul(name, (x.name, y.name), x.shape))

    def concat(self, name: str, *xs: Tensor) -> Tensor:
        """Join along the channels."""
        channels = sum(x.shape[0] for x in xs)
        return self._put(Concat(name, tuple(x.name for x in xs), (channels, *xs[0].shape[1:])))

    def flatten(self, name: str, x: Tensor) -> Tensor:
        """To one axis of features."""
        return self._put(Flatten(name, (x.name,), (math.prod(x.shape),)))

    def dropout(self, name: str, x: Tensor, rate: float) -> Tensor:
        """Zeroes a share ``rate`` of the values in training."""
        return self._put(Dropout(name, (x.name,), x.shape, rate))

    def linear(self, name: str, x: Tensor, features: int) -> Tensor:
        """Fully connected layer with a bias."""
        return self._put(Linear(name, (x.name,), (features,), x.shape[0], features))
