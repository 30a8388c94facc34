"""Whether a measurement was disturbed, and by what: each rule is a sentence with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from edgekit.measure.record import LatencyMs
from edgekit.measure.session import Measurement

__all__ = ["RULES", "noise_of"]

_MOST_UNCERTAINTY = 0.03
_MOST_DRIFT = 0.03
_MOST_TAIL = 1.25
_LEAST_MIN = 0.85
_LEAST_CPU_SHARE = 0.95
_MOST_OTHERS_PER_CORE = 0.25
_MOST_CLOCK_CHANGE = 0.05
_MOST_CLOCK_JUMP_S = 0.1
_PARTS = 4


def noise_of(found: Measurement, latency: LatencyMs, num_threads: int) -> tuple[str, ...]:
    """Why the figures of ``found`` should not be relied on; empty for a quiet machine."""
    return tuple(sentence for rule in RULES for sentence in rule(found, latency, num_threads))


def _uncertainty(found: Measurement, latency: LatencyMs, num_threads: int) -> Iterator[str]:
    widest = max(latency.median - latency.ci95[0], latency.ci95[1] - latency.median) / latency.median
    if widest > _MOST_UNCERTAINTY:
        yield f"the median is only known to within {widest:.1%}"


def _drift(found: Measurement, latency: LatencyMs, num_threads: int) -> Iterator[str]:
    """Long runs are made to see a drift, so that it is a result there."""
    if found.at_s or len(found.samples_ms) < 2 * _PARTS:
        return
    medians = [float(np.median(part)) for part in np.array_split(found.samples_ms, _PARTS)]
    if max(medians) / min(medians) > 1 + _MOST_DRIFT:
        yield f"the time moved between {min(medians):.4g} and {max(medians):.4g} ms while it was measured"


def _tail(found: Measurement, latency: LatencyMs, num_threads: int) -> Iterator[str]:
    if latency.p90 > _MOST_TAIL * latency.median:
        yield f"one run in ten took {latency.p90 / latency.median - 1:.0%} longer than the median"


def _quickest(found: Measurement, latency: LatencyMs, num_threads: int) -> Iterator[str]:
    """Nothing makes a run quicker than the network is, so a quick one shows what the others lost."""
    if latency.min < _LEAST_MIN * latency.median:
        share = latency.min / latency.median
        yield f"the quickest run took {share:.0%} of the median, so that most were slowed down"


def _cpu_share(found: Measurement, latency: LatencyMs, num_threads: int) -> Iterator[str]:
    """With several threads, some wait for others, so that processor time tells nothing."""
    if num_threads == 1 and found.cpu_share is not None and found.cpu_share < _LEAST_CPU_SHARE:
        yield f"the process had its core for only {found.cpu_share:.0%} of the time"


def _others(found: Measurement, latency: LatencyMs, num_threads: int) -> Iterator[str]:
    cores = found.machine.get("cores") or 1
    if found.others is not None and found.others > _MOST_OTHERS_PER_CORE * cores:
        yield f"other processes kept {found.others:.1f} of {cores} cores busy"


def _throttling(found: Measurement, latency: LatencyMs, num_threads: int) -> Iterator[str]:
    held = dict.fromkeys([*(found.before.get("throttled") or ()), *(found.after.get("throttled") or ())])
    if held:
        yield f"the processor was held back: {', '.join(held)}"
    times = (found.after.get("throttle_count") or 0) - (found.before.get("throttle_count") or 0)
    if times > 0:
        yield f"the processor throttled {times} times because of heat"


def _clock_rate(found: Measurement, latency: LatencyMs, num_threads: int) -> Iterator[str]:
    if found.clocks_mhz and max(found.clocks_mhz) > (1 + _MOST_CLOCK_CHANGE) * min(found.clocks_mhz):
        slowest, fastest = min(found.clocks_mhz), max(found.clocks_mhz)
        yield f"the processor's clock moved between {slowest:.0f} and {fastest:.0f} MHz"


def _clock_jump(found: Measurement, latency: LatencyMs, num_threads: int) -> Iterator[str]:
    if abs(found.clock_jump_s) > _MOST_CLOCK_JUMP_S:
        yield f"the system's clock jumped by {found.clock_jump_s:.1f} s while it was measured"


def _warm_up(found: Measurement, latency: LatencyMs, num_threads: int) -> Iterator[str]:
    if not found.is_steady:
        yield f"it was still getting quicker after {found.warmup_runs} runs of warm-up"


RULES: tuple[Callable[[Measurement, LatencyMs, int], Iterator[str]], ...] = (
    _uncertainty,
    _drift,
    _tail,
    _quickest,
    _cpu_share,
    _others,
    _throttling,
    _clock_rate,
    _clock_jump,
    _warm_up,
)
"""What is looked at, in the order in which it is told."""
