"""Intervals that cover what they promise to, however much neighbours resemble each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from edgekit.devices.runner import protocol
from edgekit.measure.statistics import median_interval, ratio_interval, summarize

MEDIAN_MS = 10.0
PROCESSES = 20


def series(generator: np.random.Generator, count: int, correlation: float) -> npt.NDArray[np.float64]:
    """Samples around 10 ms whose neighbours correlate so (a first-order autoregression, spread 0.3 ms)."""
    noise = generator.standard_normal(count)
    values = np.empty(count)
    values[0] = noise[0]
    for index in range(1, count):
        values[index] = correlation * values[index - 1] + np.sqrt(1 - correlation**2) * noise[index]
    return MEDIAN_MS + 0.3 * values


def two_speeds(generator: np.random.Generator, count: int) -> npt.NDArray[np.float64]:
    """A neighbour that comes and goes: 9 ms and 11 ms as often, for 25 samples at a time on average."""
    is_slow = np.cumsum(generator.random(count) < 1 / 25) % 2
    return 9.0 + 2.0 * is_slow + 0.05 * generator.standard_normal(count)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.9, 0.97])
def test_the_interval_covers_the_long_runs_median(correlation: float) -> None:
    generator = np.random.default_rng(1)
    intervals = [median_interval(series(generator, 400, correlation)) for _ in range(PROCESSES)]
    covered = sum(low <= MEDIAN_MS <= high for low, high in intervals)
    assert covered >= 0.9 * PROCESSES


def test_the_interval_covers_a_median_between_two_speeds() -> None:
    generator = np.random.default_rng(2)
    intervals = [median_interval(two_speeds(generator, 400)) for _ in range(PROCESSES)]
    assert sum(low <= MEDIAN_MS <= high for low, high in intervals) >= 0.9 * PROCESSES


def test_independent_samples_give_a_narrow_interval_and_more_a_narrower() -> None:
    generator = np.random.default_rng(3)
    widths = [np.ptp(median_interval(series(generator, count, 0.0))) for count in (50, 5000)]
    # The normal's: 2 × 1.96 × 1.2533 × 0.3 / sqrt(n), and 1 % for other processes.
    assert widths[0] < 3 * (2 * 1.96 * 1.2533 * 0.3 / np.sqrt(50) + 0.1)
    assert widths[1] < widths[0] / 2


def test_equal_samples_leave_only_what_processes_differ_by() -> None:
    assert median_interval([5.0] * 50) == pytest.approx((4.975, 5.025))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 11])
def test_few_samples_have_an_interval_within_their_range(count: int) -> None:
    samples = [float(value) for value in range(1, count + 1)]
    low, high = median_interval(samples)
    other_process = 0.005 * np.median(samples)
    assert 1 - other_process <= low <= np.median(samples) <= high <= count + other_process


def test_a_summary_is_the_usual_figures() -> None:
    found = summarize([3.0, 1.0, 2.0, 10.0])
    assert (found.median, found.min, found.mean) == (2.5, 1.0, 4.0)
    assert found.p90 == pytest.approx(7.9)
    assert found.ci95[0] <= found.median <= found.ci95[1]


def turns(samples: npt.NDArray[np.float64]) -> list[list[float]]:
    return [part.tolist() for part in np.array_split(samples, 25)]


def test_a_drift_that_both_have_cancels_in_their_ratio() -> None:
    generator = np.random.default_rng(4)
    drift = np.linspace(1.0, 1.5, 500)
    first, second = (turns(scale * drift * series(generator, 500, 0.5) / 10) for scale in (10.0, 8.0))
    paired = ratio_interval(first, second, is_paired=True)
    apart = ratio_interval(first, second, is_paired=False)
    assert paired.value == pytest.approx(1.25, rel=0.01)
    assert paired.is_real
    assert np.ptp(paired.ci95) < np.ptp(apart.ci95) / 3


def test_a_file_against_itself_is_no_real_difference() -> None:
    generator = np.random.default_rng(5)
    ratios = [
        ratio_interval(turns(series(generator, 400, 0.9)), turns(series(generator, 400, 0.9)), is_paired=True)
        for _ in range(PROCESSES)
    ]
    assert sum(ratio.is_real for ratio in ratios) <= 0.1 * PROCESSES


def test_turns_of_unequal_number_are_compared_as_far_as_they_go() -> None:
    ratio = ratio_interval([[2.0]] * 10, [[1.0]] * 8, is_paired=True)
    assert ratio.value == pytest.approx(2.0)
    assert ratio.is_real


def session(speed: npt.NDArray[np.float64]) -> list[list[list[float]]]:
    """What two equal files measure in 25 rounds of a machine whose slowness over time is ``speed``."""
    orders, turns = protocol._orders(2), np.split(MEDIAN_MS * speed, 50)
    found: list[list[list[float]]] = [[], []]
    for start in range(0, 50, 2):
        for position, index in enumerate(next(orders)):
            found[index].append(turns[start + position].tolist())
    return found


def rhythm(generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Half as slow again for one turn in two, nearly in time with the rounds of 80 samples."""
    phase = np.arange(2000) * 2 * np.pi / 81 + generator.uniform(0, 2 * np.pi)
    return np.where(np.sin(phase) > 0, 1.5, 1.0)


def drift(generator: np.random.Generator) -> npt.NDArray[np.float64]:
    return 1 + 0.5 * np.arange(2000, dtype=np.float64) / 2000


@pytest.mark.parametrize("speed", [rhythm, drift])
def test_what_keeps_time_with_the_rounds_is_no_difference(
    speed: Callable[[np.random.Generator], npt.NDArray[np.float64]],
) -> None:
    generator = np.random.default_rng(6)
    ratios = []
    for _ in range(PROCESSES):
        noise = np.exp(0.01 * generator.standard_normal(2000))
        ratios.append(ratio_interval(*session(speed(generator) * noise), is_paired=True))
    assert sum(ratio.is_real for ratio in ratios) <= 0.1 * PROCESSES


@pytest.mark.parametrize("slow_share", [0.35, 0.5, 0.65])
def test_a_spell_as_long_as_the_measurement_widens_it_to_the_outer_tenths(slow_share: float) -> None:
    """The next measurement may be all in the slow spell, or all outside of it."""
    is_slow = np.arange(400) < 400 * slow_share
    noise = 0.05 * np.random.default_rng(7).standard_normal(400)
    low, high = median_interval(9.0 * (1 + 0.5 * is_slow) + noise)
    assert low <= 9.0
    assert high >= 13.5
