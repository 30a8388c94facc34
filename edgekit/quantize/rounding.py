"""Rounding weights so that a layer's output, not each weight, is as near as can be.

Weights are rounded one input at a time; the error that a rounding makes in the outputs is spread over
the inputs not yet rounded, in the least-squares sense of the inputs' second moments. Source: Frantar,
Alistarh: Optimal Brain Compression, NeurIPS 2022, in the blocked form of GPTQ (arXiv 2210.17323).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgekit.quantize.arithmetic import WEIGHT_MAX, FloatArray, Int8Array

__all__ = ["round_compensated", "second_moments"]

_DAMPING = 0.01  # of the mean second moment: keeps directions that calibration never saw in place
_BLOCK = 128
_SMALL = 64


def second_moments(patches: FloatArray) -> FloatArray:
    """Covariance of inputs ``[groups, rows, K]`` → ``[groups, K, K]``, shrunk towards its diagonal.

    Means are taken out, because the bias corrects whatever the rounding does to the mean. With few rows
    for K inputs the off-diagonal part is mostly chance, which rounding must not trust: it is weighted by
    rows / (rows + K), the shrinkage of Ledoit and Wolf (2004) in its simplest form.
    """
    rows, size = patches.shape[1:]
    centered = patches - patches.mean(axis=1, keepdims=True)
    covariance: FloatArray = np.matmul(centered.transpose(0, 2, 1), centered) / np.float32(rows)
    diagonal = np.arange(size)
    variances = covariance[:, diagonal, diagonal].copy()
    covariance *= np.float32(rows / (rows + size))
    covariance[:, diagonal, diagonal] = variances
    return covariance


def round_compensated(weight: FloatArray, scale: FloatArray, moments: FloatArray) -> Int8Array:
    """Integers in [-127, 127] for weight rows ``[groups, O, K]`` at ``scale`` ``[groups, O]``.

    ``moments`` ``[groups, K, K]`` are the second moments of the inputs. Inputs with the largest moment
    are rounded first, while most others can still absorb their error.
    """
    order = np.argsort(-np.diagonal(moments, axis1=1, axis2=2), axis=1, kind="stable")
    factor = _inverse_factor(moments, order)
    rest = np.take_along_axis(weight, order[:, None, :], axis=2).astype(np.float32)
    integers = np.empty(weight.shape, np.int8)
    count = weight.shape[2]
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        integers[:, :, start:stop], errors = _round_block(
            rest[:, :, start:stop], scale, factor[:, start:stop, start:stop]
        )
        rest[:, :, stop:] -= np.matmul(errors, factor[:, start:stop, stop:])
    back = np.argsort(order, axis=1)
    return np.take_along_axis(integers, back[:, None, :], axis=2)


def _round_block(rest: FloatArray, scale: FloatArray, factor: FloatArray) -> tuple[Int8Array, FloatArray]:
    """Round the columns of one block in turn; returns integers and each column's scaled error."""
    integers = np.empty(rest.shape, np.int8)
    errors = np.empty(rest.shape, np.float32)
    for i in range(rest.shape[2]):
        column = rest[:, :, i]
        rounded = np.clip(np.rint(column / scale), -WEIGHT_MAX, WEIGHT_MAX)
        integers[:, :, i] = rounded.astype(np.int8)
        error = (column - rounded * scale) / factor[:, i, i, None]
        errors[:, :, i] = error
        rest[:, :, i + 1 :] -= error[:, :, None] * factor[:, None, i, i + 1 :]
    return integers, errors


def _inverse_factor(moments: FloatArray, order: npt.NDArray[np.int64]) -> FloatArray:
    """Upper Cholesky factor of the inverse of the damped, reordered moments: ``[groups, K, K]``."""
    size = moments.shape[1]
    sorted_rows = np.take_along_axis(moments, order[:, :, None], axis=1)
    ordered = np.take_along_axis(sorted_rows, order[:, None, :], axis=2).astype(np.float64)
    mean = np.trace(ordered, axis1=1, axis2=2) / size
    ordered += (np.maximum(_DAMPING * mean, 1e-12))[:, None, None] * np.eye(size)
    # With moments = R·Rᵀ for an upper R, the inverse is UᵀU for U = R⁻¹: no full inverse is needed.
    upper: npt.NDArray[np.float64] = np.linalg.cholesky(ordered[:, ::-1, ::-1])[:, ::-1, ::-1]
    factor: FloatArray = _invert_upper(upper).astype(np.float32)
    return factor


def _invert_upper(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Inverse of upper triangular matrices ``[groups, K, K]``, by halves."""
    size = matrix.shape[1]
    if size <= _SMALL:
        small: npt.NDArray[np.float64] = np.triu(np.linalg.inv(matrix))
        return small
    half = size // 2
    inverse = np.zeros_like(matrix)
    first = inverse[:, :half, :half] = _invert_upper(matrix[:, :half, :half])
    last = inverse[:, half:, half:] = _invert_upper(matrix[:, half:, half:])
    inverse[:, :half, half:] = -(first @ matrix[:, :half, half:] @ last)
    return inverse
