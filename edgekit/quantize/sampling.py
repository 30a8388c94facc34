"""Which images of a collection are used: spread over all of it, chosen by a seed."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from edgekit.errors import InputError

__all__ = ["spread"]


def spread(count: int, samples: int, seed: int) -> list[int]:
    """All indices below ``count``, those to use first: one from each of ``samples`` equal stretches.

    Sorted collections lie by class or by time, so every part of them is represented, and in random order,
    so that a stage that reads only the first few images has them from everywhere. The indices after the
    first ``samples`` stand in for images that turn out to be unreadable. The same arguments give the same
    order. Raises InputError when ``samples`` is below 1 or ``seed`` below 0.
    """
    if samples < 1:
        raise InputError(f"{samples} images were asked for, expected at least 1")
    if seed < 0:
        raise InputError(f"seed {seed}, expected at least 0")
    rng = np.random.default_rng(seed)
    stretches = min(samples, count)
    bounds = [i * count // stretches for i in range(stretches + 1)] if count else [0]
    first = [int(rng.integers(low, high)) for low, high in pairwise(bounds)]
    rest = sorted(set(range(count)) - set(first))
    return [int(index) for part in (first, rest) for index in rng.permutation(part)]
