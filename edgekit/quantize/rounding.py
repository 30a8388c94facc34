"""Rounding weights so that a layer's output, not each weight, is as near as can be.

Errors d of a row's weights make an output error of mean square d·M·dᵀ, M being the second moments of the
inputs. With M = R·Rᵀ and R upper triangular that is the sum of squares of the terms of d·R, and term j
holds the errors of the first j weights only: weights are rounded one after another, each to the integer
that brings its term nearest to zero. Sources: Babai, On Lovász' lattice reduction, 1986 (the nearest
plane); Frantar et al., GPTQ, arXiv 2210.17323 (the same numbers by way of the inverse of M).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgekit.graph.pair_sums import Pairs, pair_bounds
from edgekit.quantize.arithmetic import WEIGHT_MAX, FloatArray, Int8Array
from edgekit.quantize.parallel import in_order

__all__ = ["round_best", "round_compensated", "second_moments"]

_DAMPING = 0.01  # of the mean second moment: keeps directions that calibration never saw in place
_SCALES = np.linspace(1, 1.15, 24, dtype=np.float32)  # times the smallest scale, that are tried
_FEW = 64  # weights of an output up to which the scale decides much: errors of more even out
_BLOCK = 64  # inputs whose errors are passed on one by one; to the ones behind, by one product of matrices


def second_moments(
    patches: FloatArray, *, independent: int | None = None, centered: bool = True
) -> FloatArray:
    """Moments of inputs ``[groups, rows, K]`` → ``[groups, K, K]``, shrunk towards their diagonal.

    ``centered`` takes the means out, for when a bias corrects whatever rounding does to the mean. With
    few rows for K inputs the off-diagonal part is mostly chance, which rounding must not trust: it is
    weighted by n / (n + K), the shrinkage of Ledoit and Wolf (2004) in its simplest form, where n is how
    many of the rows are ``independent``, by default all.
    """
    rows, size = patches.shape[1:]
    if centered:
        patches = patches - patches.mean(axis=1, keepdims=True)
    moments: FloatArray = _products(patches) / np.float32(rows)
    diagonal = np.arange(size)
    variances = moments[:, diagonal, diagonal].copy()
    known = rows if independent is None else min(rows, independent)
    moments *= np.float32(known / (known + size))
    moments[:, diagonal, diagonal] = variances
    return moments


def _products(patches: FloatArray) -> FloatArray:
    """Sums of products ``[groups, rows, K]`` → ``[groups, K, K]``: by halves, each on a core."""
    parts = np.array_split(patches, 2, axis=1 if len(patches) == 1 else 0)
    sums = list(in_order(lambda part: np.matmul(part.transpose(0, 2, 1), part), parts))
    products: FloatArray = sum(sums) if len(patches) == 1 else np.concatenate(sums)
    return products


def round_compensated(
    weight: FloatArray, scale: FloatArray, moments: FloatArray, pairs: Pairs | None = None
) -> Int8Array:
    """Integers in [-127, 127] for weight rows ``[groups, O, K]`` at ``scale`` ``[groups, O]``.

    ``moments`` ``[groups, K, K]`` are the second moments of the inputs. Inputs with the largest moment
    are rounded first, while most others can still absorb their error. ``pairs`` of weights keep within what
    fits 16 bits: see :mod:`edgekit.graph.pair_sums`.
    """
    order = np.argsort(-np.diagonal(moments, axis1=1, axis2=2), axis=1, kind="stable")
    passed_on = _triangular_factor(moments, order)
    by_input = weight.transpose(0, 2, 1)
    weights = np.take_along_axis(by_input, order[:, :, None], axis=1)
    low, high = _bounds(weight, scale, pairs, order)
    targets, errors = weights.copy(), np.empty_like(weights)
    integers = np.empty(weights.shape, np.int8)
    for start in range(0, weights.shape[1], _BLOCK):
        block = slice(start, start + _BLOCK)
        targets[:, block] += np.matmul(passed_on[:, :start, block].transpose(0, 2, 1), errors[:, :start])
        within = passed_on[:, block, block]
        limits = low[:, block], high[:, block]
        integers[:, block] = _round_block(
            weights[:, block], targets[:, block], errors[:, block], scale, within, limits
        )
    back = np.argsort(order, axis=1)
    restored: Int8Array = np.take_along_axis(integers, back[:, :, None], axis=1).transpose(0, 2, 1)
    return restored


def round_best(
    weight: FloatArray, scale: FloatArray, moments: FloatArray, pairs: Pairs | None = None
) -> tuple[Int8Array, FloatArray]:
    """:func:`round_compensated` at the scale of least output error for each row, and those scales.

    Scales from ``scale`` up, so that nothing is clipped. With the few weights of a depthwise filter one
    scale suits them far better than another; with many the first is as good as any, and is kept.
    """
    if weight.shape[2] > _FEW:
        return round_compensated(weight, scale, moments, pairs), scale
    groups, outputs, size = weight.shape
    tried = scale[:, :, None] * _SCALES
    repeated = np.repeat(weight, len(_SCALES), axis=1)
    integers = round_compensated(repeated, tried.reshape(groups, -1), moments, pairs)
    errors = repeated - integers * tried.reshape(groups, -1, 1)
    heard = np.einsum("gok,gkl,gol->go", errors, moments, errors, optimize=True)
    best = heard.reshape(groups, outputs, -1).argmin(axis=2)[:, :, None]
    shaped = integers.reshape(groups, outputs, len(_SCALES), size)
    chosen: Int8Array = np.take_along_axis(shaped, best[..., None], axis=2)[:, :, 0]
    return chosen, np.take_along_axis(tried, best, axis=2)[:, :, 0]


def _bounds(
    weight: FloatArray, scale: FloatArray, pairs: Pairs | None, order: npt.NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """Least and largest integers, inputs in ``order``: ``[groups, K, O]``, or ``1`` for all outputs."""
    if pairs is None:
        most = np.full((*order.shape, 1), WEIGHT_MAX, np.float32)
        return -most, most
    low, high = (
        np.take_along_axis(bound.transpose(0, 2, 1), order[:, :, None], axis=1)
        for bound in pair_bounds(weight / scale[..., None], pairs)
    )
    return low, high


def _round_block(
    weights: FloatArray,
    targets: FloatArray,
    errors: FloatArray,
    scale: FloatArray,
    passed_on: FloatArray,
    limits: tuple[FloatArray, FloatArray],
) -> Int8Array:
    """Round ``[groups, inputs, O]`` input by input, filling ``errors`` and moving ``targets`` on the way."""
    integers = np.empty(weights.shape, np.int8)
    low, high = limits
    for i in range(weights.shape[1]):
        rounded = np.clip(np.rint(targets[:, i] / scale), low[:, i], high[:, i])
        integers[:, i] = rounded
        errors[:, i] = weights[:, i] - rounded * scale
        targets[:, i + 1 :] += passed_on[:, i, i + 1 :, None] * errors[:, None, i]
    return integers


def _triangular_factor(moments: FloatArray, order: npt.NDArray[np.int64]) -> FloatArray:
    """R of the damped, reordered moments ``[groups, K, K]``, each column divided by its diagonal element."""
    size = moments.shape[1]
    rows = np.take_along_axis(moments, order[:, :, None], axis=1)
    ordered = np.take_along_axis(rows, order[:, None, :], axis=2).astype(np.float64)
    mean = np.trace(ordered, axis1=1, axis2=2) / size
    diagonal = np.arange(size)
    ordered[:, diagonal, diagonal] += np.where(mean > 0, _DAMPING * mean, 1.0)[:, None]
    # Cholesky's factor is lower triangular: from back to front it is the upper one.
    upper = np.linalg.cholesky(ordered[:, ::-1, ::-1])[:, ::-1, ::-1]
    factor: FloatArray = (upper / upper[:, None, diagonal, diagonal]).astype(np.float32)
    return factor
