"""Warm-up until steady, then turns in rounds, or one long run.

Every round has one turn of each file, in an order that is drawn, and reversed in the next round: A B, B A,
B A, A B. So neither a drift nor a disturbance that keeps time with the rounds favours a file.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from edgekit.devices.runner.machine import busy_s, choose_cpus, clock_mhz_of, describe, state
from edgekit.devices.runner.worker import Worker

__all__ = ["measure"]

_GAIN = 0.98
_WINDOW_S = 0.15
_LEAST_WINDOWS = 4
_MOST_WARM_UP_S = 10.0
_LEAST_RUNS = 10
_PATIENCE = 6  # times the seconds that are asked for, while there are fewer runs than that
_MOST_RUNS = 10_000
_TURN_S = 0.2
_TURN_RUNS = 2
_LEAST_TURNS = 25
_SUSTAINED_TURN_S = 1.0
_now = time.perf_counter


def measure(options: argparse.Namespace, emit: Callable[..., None]) -> None:
    """Measure ``options.artifacts``, telling ``emit`` each event. Raises FailureError."""
    options.cpus = choose_cpus(options.cpus, options.num_threads)
    emit(event="start", machine=describe(), state=state(options.cpus), cpus=options.cpus)
    workers: list[Worker] = []
    try:
        for index, path in enumerate(options.artifacts):
            emit(event="loading", artifact=index)
            workers.append(Worker(options, path))
            emit(event="loaded", artifact=index, sha256=_sha256(path), **workers[-1].loaded)
        for index, worker in enumerate(workers):
            runs, is_steady = _warm_up(worker, options.warmup_runs)
            emit(event="warm", artifact=index, runs=runs, is_steady=is_steady)
        (_sustain if options.sustained else _take_turns)(options, workers, emit)
    finally:
        for worker in workers:
            worker.close()
    emit(event="end", state=state(options.cpus))


def _warm_up(worker: Worker, asked: int | None) -> tuple[int, bool]:
    """Run until two windows are no more than 2 % quicker than those before; how often, and whether so."""
    if asked is not None:
        return len(worker.ask(asked, 0.0, asked)["samples_ms"]), True
    quick: list[float] = []
    runs, started = 0, _now()
    while _now() - started < _MOST_WARM_UP_S:
        samples = sorted(worker.ask(_MOST_RUNS, _WINDOW_S, _TURN_RUNS)["samples_ms"])
        runs += len(samples)
        quick.append(samples[len(samples) // 4])
        if len(quick) >= _LEAST_WINDOWS and min(quick[-2:]) >= _GAIN * min(quick[:-2]):
            return runs, True
    return runs, False


def _take_turns(options: argparse.Namespace, workers: list[Worker], emit: Callable[..., None]) -> None:
    orders = _orders(len(workers))
    while not all(_is_done(worker, options) for worker in workers):
        for index in next(orders):
            worker = workers[index]
            left = options.num_runs - worker.count if options.num_runs else sys.maxsize
            most_runs = min(left, max(_TURN_RUNS, (options.num_runs or _MOST_RUNS) // _LEAST_TURNS))
            if most_runs == 0:
                continue
            if len(workers) > 1:
                worker.ask(1, 0.0, 1)  # the others have had the caches
            emit(artifact=index, **_turn(worker, (most_runs, _TURN_S, _TURN_RUNS), options.cpus))


def _orders(count: int) -> Iterator[list[int]]:
    """Who comes after whom in each round, the same in every measurement."""
    generator = random.Random(0)
    while True:
        order = generator.sample(range(count), count)
        yield order
        yield order[::-1]


def _is_done(worker: Worker, options: argparse.Namespace) -> bool:
    if options.num_runs:
        return bool(worker.count >= options.num_runs)
    if worker.count < _LEAST_RUNS:
        return bool(worker.seconds >= _PATIENCE * options.seconds)
    return bool(worker.seconds >= options.seconds) or worker.count >= _MOST_RUNS


def _sustain(options: argparse.Namespace, workers: list[Worker], emit: Callable[..., None]) -> None:
    """One after the other without a pause: heat is what is looked for, so they cannot take turns."""
    for index, worker in enumerate(workers):
        started = _now()
        while (at_s := _now() - started) < options.sustained:
            amount = (sys.maxsize, _SUSTAINED_TURN_S, 1)
            emit(artifact=index, at_s=at_s, **_turn(worker, amount, options.cpus))


def _turn(worker: Worker, amount: tuple[int, float, int], cpus: list[int]) -> dict[str, Any]:
    busy = sum(busy_s().values())
    turn = worker.ask(*amount)
    others_s = sum(busy_s().values()) - busy - turn["cpu_s"]
    worker.count += len(turn["samples_ms"])
    worker.seconds += turn["wall_s"]
    return {"event": "turn", "others_s": max(0.0, others_s), "clock_mhz": clock_mhz_of(cpus), **turn}


def _sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
