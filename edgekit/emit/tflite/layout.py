"""In which order a tensor of the file holds the axes of a value of the graph.

A *layout* lists the value's axes as stored: axis ``i`` of the tensor is axis ``layout[i]`` of the value.
Images are NHWC, ``(0, 2, 3, 1)``; a ``Transpose`` of the graph gives its result another layout and moves
nothing, until an operator demands a certain one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from edgekit.emit.tflite.program import Array

__all__ = [
    "Layout",
    "after_transpose",
    "axis_in_file",
    "broadcast_in_file",
    "default_layout",
    "is_plain",
    "order_matters",
    "permutation",
    "same_order",
    "shape_in_file",
]

Layout: TypeAlias = tuple[int, ...]

_NHWC = (0, 2, 3, 1)


def default_layout(rank: int) -> Layout:
    """NHWC for values of rank 4, the graph's own order for others."""
    return _NHWC if rank == 4 else tuple(range(rank))


def is_plain(layout: Layout) -> bool:
    """Whether the tensor holds the axes in the graph's own order."""
    return layout == tuple(range(len(layout)))


def shape_in_file(shape: Sequence[int], layout: Layout | None = None) -> tuple[int, ...]:
    """Shape of a value as stored: by default ``[N, C, H, W]`` becomes ``[N, H, W, C]``."""
    return tuple(shape[axis] for axis in layout or default_layout(len(shape)))


def axis_in_file(axis: int, rank: int, layout: Layout | None = None) -> int:
    """Where dimension ``axis`` (may be negative) of a value of ``rank`` is stored."""
    return (layout or default_layout(rank)).index(axis % rank)


def same_order(shape: Sequence[int], one: Layout, other: Layout) -> bool:
    """Whether a value of ``shape`` has its elements in the same order in both layouts."""
    first, second = ([axis for axis in layout if shape[axis] != 1] for layout in (one, other))
    return first == second


def permutation(held: Layout, wanted: Layout) -> tuple[int, ...]:
    """The transposition of the tensor, as TRANSPOSE takes it, that brings one layout into the other."""
    return tuple(held.index(axis) for axis in wanted)


def after_transpose(layout: Layout, perm: Sequence[int]) -> Layout:
    """Layout of the same tensor when it is seen as the value transposed by ``perm``."""
    return tuple(list(perm).index(axis) for axis in layout)


def broadcast_in_file(constant: Array, rank: int, layout: Layout | None = None) -> Array:
    """A constant that broadcasts to values of ``rank``, as stored, without leading dimensions of 1."""
    aligned = constant.reshape((1,) * (rank - constant.ndim) + constant.shape)
    stored = aligned.transpose(layout or default_layout(rank))
    leading = 0
    while leading < stored.ndim - 1 and stored.shape[leading] == 1:
        leading += 1
    return np.ascontiguousarray(stored.reshape(stored.shape[leading:]))


def order_matters(shape: Sequence[int]) -> bool:
    """Whether the elements of an NCHW value stand in another order as NHWC."""
    return not same_order(shape, tuple(range(len(shape))), default_layout(len(shape)))
