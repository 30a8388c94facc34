"""How near one file's answers are to another's: agreement, signal-to-noise ratio, top-k.

Pure numpy on logits ``[images, classes]``; the same definitions for verification, comparison and reports.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from edgekit.errors import InputError
from edgekit.results import Parity

__all__ = ["agreement", "expected_agreement", "max_relative_error", "parity", "sqnr_db", "top_k"]

_NORMAL = NormalDist()


def parity(reference: npt.ArrayLike, test: npt.ArrayLike) -> Parity:
    """All measures of ``test`` against ``reference``, both ``[images, classes]``."""
    expected, actual = _pair(reference, test)
    return Parity(
        len(expected),
        agreement(expected, actual),
        sqnr_db(expected, actual),
        max_relative_error(expected, actual),
    )


def sqnr_db(reference: npt.ArrayLike, test: npt.ArrayLike) -> float:
    """Σ reference² / Σ (reference - test)² over all logits of all images, in decibels."""
    expected, actual = _pair(reference, test)
    signal, noise = float(np.square(expected).sum()), float(np.square(expected - actual).sum())
    if not noise:
        return math.inf
    return 10 * math.log10(signal / noise) if signal else -math.inf


def agreement(reference: npt.ArrayLike, test: npt.ArrayLike) -> float:
    """Share of images whose largest logit has the same index, in percent."""
    expected, actual = _pair(reference, test)
    return 100 * float((expected.argmax(1) == actual.argmax(1)).mean())


def expected_agreement(reference: npt.ArrayLike, test: npt.ArrayLike) -> float:
    """The agreement that noise like the test's leaves to be expected on these images, in percent.

    An image is as likely to keep its class as normal noise is to stay below the lead of the reference's
    largest logit over its second, the noise being what is usual of that difference. Agreement far below it is
    no matter of near ties. 100 for a single class.
    """
    expected, actual = _pair(reference, test)
    if expected.shape[1] < 2:
        return 100.0
    best = np.argsort(-expected, axis=1)[:, :2]
    lead, found = (np.take_along_axis(some, best, axis=1) @ (1, -1) for some in (expected, actual))
    noise = float(np.median(np.abs(found - lead))) / _NORMAL.inv_cdf(0.75)  # half of all errors are nearer
    if not noise:
        return 100.0
    return 100 * float(np.mean([_NORMAL.cdf(one) for one in lead / noise]))


def max_relative_error(reference: npt.ArrayLike, test: npt.ArrayLike) -> float:
    """Largest absolute difference divided by the largest absolute reference logit."""
    expected, actual = _pair(reference, test)
    difference, peak = float(np.abs(expected - actual).max()), float(np.abs(expected).max())
    if not difference:
        return 0.0
    return difference / peak if peak else math.inf


def top_k(logits: npt.ArrayLike, labels: npt.ArrayLike, k: int) -> float:
    """Share of images whose label is among the ``k`` largest logits, in percent.

    ``logits`` is ``[images, classes]``, ``labels`` integers ``[images]``.
    """
    scores, truth = _logits(logits), np.asarray(labels)
    if truth.shape != scores.shape[:1]:
        raise InputError(f"{truth.shape[0] if truth.ndim else 1} labels for {len(scores)} images")
    if not 1 <= k <= scores.shape[1]:
        raise InputError(f"k is {k}, expected 1 to {scores.shape[1]}, the number of classes")
    best = np.argsort(-scores, axis=1)[:, :k]
    return 100 * float((best == truth[:, None]).any(1).mean())


def _pair(
    reference: npt.ArrayLike, test: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    expected, actual = _logits(reference), _logits(test)
    if expected.shape != actual.shape:
        raise InputError(f"logits of shape {expected.shape} are compared with {actual.shape}")
    return expected, actual


def _logits(array: npt.ArrayLike) -> npt.NDArray[np.float64]:
    logits = np.asarray(array, np.float64)
    if logits.ndim != 2 or not logits.size:
        raise InputError(f"logits have shape {logits.shape}, expected [images, classes], neither zero")
    return logits
