"""From NCHW to NHWC: shapes, axes and constants. Values of rank 4 are images; others keep their order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgekit.emit.tflite.program import Array

__all__ = ["axis_in_file", "broadcast_in_file", "order_matters", "shape_in_file"]

_NHWC = (0, 2, 3, 1)


def shape_in_file(shape: Sequence[int]) -> tuple[int, ...]:
    """Shape of a value as stored: ``[N, C, H, W]`` becomes ``[N, H, W, C]``."""
    return tuple(shape[axis] for axis in _NHWC) if len(shape) == 4 else tuple(shape)


def axis_in_file(axis: int, rank: int) -> int:
    """Where dimension ``axis`` (may be negative) of a value of ``rank`` is stored."""
    axis %= rank
    return _NHWC.index(axis) if rank == 4 else axis


def broadcast_in_file(constant: Array, rank: int) -> Array:
    """A constant that broadcasts to values of ``rank``, as stored, without leading dimensions of 1."""
    aligned = constant.reshape((1,) * (rank - constant.ndim) + constant.shape)
    stored = aligned.transpose(_NHWC) if rank == 4 else aligned
    leading = 0
    while leading < stored.ndim - 1 and stored.shape[leading] == 1:
        leading += 1
    return np.ascontiguousarray(stored.reshape(stored.shape[leading:]))


def order_matters(shape: Sequence[int]) -> bool:
    """Whether the elements of an NCHW value stand in another order as NHWC."""
    return len(shape) == 4 and shape[1] > 1 and shape[2] * shape[3] > 1
