"""Each rule fires on what it is about, and on nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edgekit.measure.noise import RULES, noise_of
from edgekit.measure.session import Measurement
from edgekit.measure.statistics import summarize

QUIET = Measurement(
    sha256="",
    runtime="tflite",
    runtime_version="1",
    load_ms=1.0,
    first_inference_ms=1.0,
    warmup_runs=10,
    turns=tuple(tuple(10.0 + 0.05 * np.sin(np.arange(20.0) + turn)) for turn in range(25)),
    cpu_share=0.999,
    others=0.05,
    clocks_mhz=(1500.0, 1500.0),
    machine={"cores": 4},
)


def noise(num_threads: int = 1, **changes: Any) -> tuple[str, ...]:
    found = replace(QUIET, **changes)
    return noise_of(found, summarize(found.samples_ms), num_threads)


def scaled(factors: list[float]) -> tuple[tuple[float, ...], ...]:
    return tuple(
        tuple(factor * value for value in turn) for factor, turn in zip(factors, QUIET.turns, strict=True)
    )


def test_a_quiet_machine_is_not_noisy() -> None:
    assert noise() == ()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"cpu_share": 0.8}, "the process had its core for only 80% of the time"),
        ({"others": 1.5}, "other processes kept 1.5 of 4 cores busy"),
        ({"after": {"throttled": ["under-voltage"]}}, "the processor was held back: under-voltage"),
        (
            {"before": {"throttle_count": 2}, "after": {"throttle_count": 5}},
            "the processor throttled 3 times because of heat",
        ),
        ({"clocks_mhz": (1500.0, 600.0)}, "the processor's clock moved between 600 and 1500 MHz"),
        ({"clock_jump_s": -3.0}, "the system's clock jumped by -3.0 s while it was measured"),
        ({"is_steady": False}, "it was still getting quicker after 10 runs of warm-up"),
    ],
)
def test_what_disturbed_is_the_one_thing_told(changes: dict[str, Any], sentence: str) -> None:
    assert noise(**changes) == (sentence,)


def test_a_tail_is_told() -> None:
    turns = tuple((*turn[:-4], *[2 * value for value in turn[-4:]]) for turn in QUIET.turns)
    assert noise(turns=turns) == ("one run in ten took 100% longer than the median",)


def test_a_quick_run_among_slow_ones_is_told() -> None:
    turns = ((7.0, *QUIET.turns[0][1:]), *QUIET.turns[1:])
    assert noise(turns=turns) == ("the quickest run took 70% of the median, so that most were slowed down",)


def test_a_drift_is_told_but_not_where_it_is_looked_for() -> None:
    turns = scaled(np.linspace(1.0, 1.06, 25).tolist())
    assert any("the time moved between" in sentence for sentence in noise(turns=turns))
    sustained = noise(turns=turns, at_s=tuple(map(float, range(25))))
    assert not any("the time moved" in sentence for sentence in sustained)


def test_a_median_that_is_not_known_is_told() -> None:
    turns = scaled([1.0, 1.3] * 12 + [1.0])
    assert any("only known to within" in sentence for sentence in noise(turns=turns))


def test_threads_that_wait_for_each_other_are_no_noise() -> None:
    assert noise(num_threads=4, cpu_share=2.2) == ()


def test_every_rule_is_tried_here() -> None:
    assert len(RULES) == 10
