"""Weights whose products add up in 16 bits, two neighbours at a time.

x86 processors without VNNI have one instruction for products of bytes, ``vpmaddubsw``: it multiplies unsigned
activations by signed weights and adds two neighbours in int16, which saturates. onnxruntime and OpenVINO use
it there; Arm's kernels, and LiteRT's, widen before they add. 255 · (a + b) has to stay within 32767:
neighbours of one sign within 128 together. A row whose largest pair passes that takes a wider scale, which
costs far less than weights within ±64 do. (To let the few pairs that pass it give way instead was no better:
their errors are large, and all in one place.)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

__all__ = ["PAIR_MAX", "Pairs", "pair_bounds", "pair_scale", "pairs_of"]

PAIR_MAX = 128
"""What the magnitudes of two neighbours of one sign may add up to: 255 · 128 < 32767 < 255 · 129."""

_WEIGHT_MAX = 127  # of one weight alone

FloatArray = npt.NDArray[np.float32]
Pairs = npt.NDArray[np.int64]
"""``[K, 1 or 2]``: for each weight of a row those that its product may be added to, itself for none."""


def pairs_of(node: ir.Node, weight: npt.NDArray[np.generic]) -> Pairs | None:
    """Which products are added in pairs of a ``Conv``'s or ``Gemm``'s ``weight`` ``[O, C/groups, …]``.

    K = C/groups × kH × kW is in the weight's order. Kernels pair the channels 0 and 1, 2 and 3 … of one
    position; onnxruntime, where their number is odd, whatever is next with channels innermost. None for
    depthwise layers, whose kernels widen before they add.
    """
    outputs, channels = weight.shape[:2]
    if weight.ndim > 2 and channels == 1 and outputs == node.attributes.get_int("group", 1):
        return None
    positions = weight[0, 0].size
    innermost = np.arange(channels * positions).reshape(channels, positions).T.reshape(-1)
    orders = [(_neighbours(channels) + channels * np.arange(positions)[:, None]).reshape(-1)]
    if channels % 2:
        orders.append(_neighbours(channels * positions))
    pairs = np.empty((channels * positions, len(orders)), np.int64)
    for column, order in enumerate(orders):
        pairs[innermost, column] = innermost[order]
    return pairs


def _neighbours(count: int) -> npt.NDArray[np.int64]:
    """1, 0, 3, 2 …; the last of an odd number has none but itself."""
    found: npt.NDArray[np.int64] = np.minimum(np.arange(count) ^ 1, count - 1)
    return found


def pair_scale(weight: FloatArray, pairs: Pairs) -> FloatArray:
    """The least scale of each row of ``[..., K]`` at which no pair passes :data:`PAIR_MAX`."""
    largest: FloatArray = np.zeros(weight.shape[:-1], np.float32)
    for partner, has_one in _partners(pairs):
        other = weight[..., partner]
        total = np.where(has_one & (weight * other > 0), np.abs(weight + other), np.float32(0))
        largest = np.maximum(largest, total.max(axis=-1))
    largest /= np.float32(PAIR_MAX)
    return largest


def pair_bounds(steps: FloatArray, pairs: Pairs) -> tuple[FloatArray, FloatArray]:
    """Least and largest integers of weights ``[..., K]`` with which no pair passes :data:`PAIR_MAX`.

    ``steps`` are the weights in units of their scale. A pair shares evenly what is left, or too much.
    """
    return -_largest(-steps, pairs), _largest(steps, pairs)


def _largest(steps: FloatArray, pairs: Pairs) -> FloatArray:
    sizes = np.maximum(steps, 0)
    bounds = np.full_like(sizes, _WEIGHT_MAX)
    for partner, has_one in _partners(pairs):
        half = np.floor((PAIR_MAX + sizes - sizes[..., partner]) / 2)
        bounds = np.where(has_one, np.clip(half, 0, bounds), bounds)
    return bounds


def _partners(pairs: Pairs) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]]:
    """Each column of the pairs, and where it names another weight."""
    alone = np.arange(len(pairs))
    return ((partner, partner != alone) for partner in pairs.T)
