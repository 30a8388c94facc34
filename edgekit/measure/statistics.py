"""From samples to a median that one can believe, and to whether two of them differ.

Neighbouring samples resemble each other, because what disturbs a machine lasts longer than an inference.
Resampling single samples would take them for independent and give an interval far too narrow; so blocks of
neighbours are resampled (Künsch, "The jackknife and the bootstrap for general stationary observations",
1989), from short blocks to a third of the whole, and the widest interval counts. Few blocks know little
about their own spread, for which Student's t makes the interval wider. One process also differs from the
next, by where its memory lies (Mytkowicz et al., "Producing wrong data without doing anything obviously
wrong!", 2009), which no sample of one process shows: half a percent is added for that.

What disturbs a machine may last longer than a measurement. It betrays itself by blocks that disagree by more
than noise does; then another measurement may well see what only a tenth of this one saw, and the interval
takes in all but the outer tenths of the samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.measure.record import LatencyMs

__all__ = ["Ratio", "median_interval", "ratio_interval", "summarize"]

Samples = npt.NDArray[np.float64]

_RESAMPLES = 1000
_FEWEST_BLOCKS = 3
_FEWEST_BLOCKS_OF_PAIRS = 4  # what lasts longer disturbs both of a pair
_MOST_BLOCKS = 60
_SCALES = 4
_LAYOUT = 0.005
_DISTURBED = 0.03  # of the median
_OUTER = 10  # percent of the samples at either end
_PORTIONS = 10  # of the resamples, to hold little at once
_T_975 = {
    1: 12.706,
    2: 4.303,
    3: 3.182,
    4: 2.776,
    5: 2.571,
    6: 2.447,
    7: 2.365,
    8: 2.306,
    9: 2.262,
    10: 2.228,
    12: 2.179,
    15: 2.131,
    20: 2.086,
    30: 2.042,
    59: 2.001,
}
"""97.5 % quantile of Student's t by degrees of freedom; the next smaller entry is the careful one."""
_NORMAL_975 = 1.960


@dataclass(frozen=True)
class Ratio:
    """How one latency compares to another: ``value`` is theirs divided, ``ci95`` its confidence interval."""

    value: float
    ci95: tuple[float, float]

    @property
    def is_real(self) -> bool:
        """Whether the interval leaves 1 out, so that the difference is more than noise."""
        return not self.ci95[0] <= 1.0 <= self.ci95[1]


def summarize(samples_ms: Sequence[float]) -> LatencyMs:
    """Median, minimum, 90th percentile and mean in milliseconds, with the median's interval."""
    samples = np.asarray(samples_ms, dtype=np.float64)
    return LatencyMs(
        median=float(np.median(samples)),
        min=float(samples.min()),
        p90=float(np.percentile(samples, 90)),
        mean=float(samples.mean()),
        ci95=median_interval(samples),
    )


def median_interval(samples_ms: Sequence[float] | Samples) -> tuple[float, float]:
    """The 95 % confidence interval of the median of a series, in the order it was taken."""
    samples = np.asarray(samples_ms, dtype=np.float64)
    median = float(np.median(samples))
    low, high = _offsets(samples)
    if max(-low, high) > _DISTURBED * median:
        least, most = np.percentile(samples, [_OUTER, 100 - _OUTER])
        low, high = min(low, float(least) - median), max(high, float(most) - median)
    return median + low - _LAYOUT * median, median + high + _LAYOUT * median


def ratio_interval(
    first: Sequence[Sequence[float]], second: Sequence[Sequence[float]], *, is_paired: bool
) -> Ratio:
    """The first's median over the second's; each is a series of turns, of some samples each.

    ``is_paired``: their turns alternated, so that what disturbed one disturbed its neighbour, and cancels
    as far as both have turns. Otherwise the two series are resampled by themselves.
    """
    pairs = min(len(first), len(second))
    if is_paired and pairs >= _FEWEST_BLOCKS_OF_PAIRS:
        logs = np.log(
            [np.median(a) / np.median(b) for a, b in zip(first[:pairs], second[:pairs], strict=True)]
        )
        low, high = _offsets(logs, _FEWEST_BLOCKS_OF_PAIRS)
        value = float(np.exp(np.median(logs)))
    else:
        one, other = _pooled(first), _pooled(second)
        value = float(np.median(one) / np.median(other))
        (one_low, one_high), (other_low, other_high) = _offsets(np.log(one)), _offsets(np.log(other))
        low, high = -np.hypot(one_low, other_high), np.hypot(one_high, other_low)
    both = float(np.hypot(_LAYOUT, _LAYOUT))
    return Ratio(value, (value * float(np.exp(low - both)), value * float(np.exp(high + both))))


def _pooled(turns: Sequence[Sequence[float]]) -> Samples:
    return np.concatenate([np.asarray(turn, dtype=np.float64) for turn in turns])


def _offsets(series: Samples, fewest_blocks: int = _FEWEST_BLOCKS) -> tuple[float, float]:
    """How far from the series' median its long-run median may be: the widest over the lengths of blocks."""
    count = len(series)
    if count < fewest_blocks:
        return _within(series, -np.inf, np.inf)
    shortest, longest = max(1.0, count / _MOST_BLOCKS), max(1.0, count / fewest_blocks)
    lengths = {round(float(length)) for length in np.geomspace(shortest, longest, _SCALES)}
    found = [_offsets_of_blocks(series, length) for length in sorted(lengths)]
    return min(low for low, _ in found), max(high for _, high in found)


def _offsets_of_blocks(series: Samples, length: int) -> tuple[float, float]:
    count = len(series)
    blocks = -(-count // length)
    starts = np.random.default_rng(0).integers(0, count, (_RESAMPLES, blocks))
    # The end is joined to the beginning, so that every sample is drawn as often as any other.
    medians = np.concatenate(
        [
            np.median(series[_members(chosen, length, count)], axis=1)
            for chosen in np.array_split(starts, _PORTIONS)
        ]
    )
    low, high = np.percentile(medians - np.median(series), [2.5, 97.5])
    widening = _t_975(blocks - 1) / _NORMAL_975 * float(np.sqrt(blocks / (blocks - 1)))
    return _within(series, float(low) * widening, float(high) * widening)


def _members(starts: npt.NDArray[np.int64], length: int, count: int) -> npt.NDArray[np.int64]:
    """Indices of ``count`` samples in the blocks that begin at ``starts`` (resamples, blocks)."""
    flat = (starts[:, :, None] + np.arange(length)).reshape(len(starts), -1)
    members: npt.NDArray[np.int64] = flat[:, :count] % count
    return members


def _within(series: Samples, low: float, high: float) -> tuple[float, float]:
    """The offsets, no farther than the samples themselves."""
    median = float(np.median(series))
    return max(float(series.min()) - median, min(0.0, low)), min(float(series.max()) - median, max(0.0, high))


def _t_975(degrees: int) -> float:
    return next(value for known, value in reversed(_T_975.items()) if known <= degrees)
