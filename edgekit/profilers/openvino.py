"""Profiling OpenVINO IR with the CPU plugin's own counters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekit.profilers.base import WARM_UP_RUNS, Operator, Profile, convolution_macs, medians, random_input
from edgekit.runtimes.openvino import OpenvinoRunner

__all__ = ["profile"]

_EXECUTED = "EXECUTED"
_MOST_MODELS = 5
_LEAST_RUNS = 10
"""Of each model, where there are several: the mean is right to half a microsecond then."""
_WEIGHTED = ("Convolution", "GroupConvolution", "FullyConnected", "MatMul")  # as prefixes
_TRANSPOSED = ("Deconvolution",)


def profile(path: Path, num_threads: int, num_runs: int) -> Profile:
    """Profile a file on the CPU. Raises ModelFileError when OpenVINO cannot load it.

    The plugin's counters cannot be set back: each is the mean since the model was compiled, the slow first
    run included. So runs are split among a few compiled models, in each of them the warm-up's part is taken
    off, and times are medians of the models' means, for which a moment that was busy counts nothing.
    """
    num_models = max(1, min(_MOST_MODELS, num_runs // _LEAST_RUNS))
    runs_each = -(-num_runs // num_models)
    times_ms: list[list[float]] = []
    executed: set[str] = set()
    for _ in range(num_models):
        runner = OpenvinoRunner(path, num_threads, profile=True)
        warm_up_us = _elapsed_us(runner, WARM_UP_RUNS, WARM_UP_RUNS)
        elapsed_us = _elapsed_us(runner, runs_each, WARM_UP_RUNS + runs_each)
        times_ms.append(
            [
                max(0.0, late - early) / runs_each * 1e-3
                for early, late in zip(warm_up_us, elapsed_us, strict=True)
            ]
        )
        counters = runner.counters()
        executed.update(one.node_name for one in counters if one.status.name == _EXECUTED)
    nodes = {node.get_friendly_name(): node for node in runner.executed_graph()}
    operators = tuple(
        _operator(one.node_name, one.node_type, nodes, ms)
        for one, ms in zip(counters, medians(times_ms), strict=True)
        if one.node_name in executed
    )
    return Profile(operators, runner.runtime, runner.version, num_models * runs_each)


def _elapsed_us(runner: OpenvinoRunner, num_runs: int, runs_so_far: int) -> list[float]:
    """Run so often, and return what each node took in all ``runs_so_far`` since the model was compiled.

    Counters are rounded down to whole microseconds; what that took off is, in the mean, half of the most
    that it can.
    """
    feeds = {port.name: random_input(port) for port in runner.inputs}
    for _ in range(num_runs):
        runner.run_named(feeds)
    means_us = [one.real_time.total_seconds() * 1e6 for one in runner.counters()]
    return [mean * runs_so_far + (runs_so_far - 1) / 2 for mean in means_us]


def _operator(name: str, op: str, nodes: Mapping[str, Any], ms: float) -> Operator:
    node = nodes.get(name)
    if node is None:
        return Operator(_layer(name), op, ms, None, None)
    inputs = [(tuple(value.get_shape()), value.get_element_type().size) for value in node.inputs()]
    outputs = [(tuple(value.get_shape()), value.get_element_type().size) for value in node.outputs()]
    moved_bytes = sum(math.prod(shape) * size for shape, size in (*inputs, *outputs))
    return Operator(_layer(name), op, ms, _macs(op, inputs, outputs), moved_bytes)


def _layer(name: str) -> str:
    """The file's name: what the plugin splits off is named ``LAYER/WithoutBiases``."""
    return name.split("/")[0]


def _macs(
    op: str, inputs: list[tuple[tuple[int, ...], int]], outputs: list[tuple[tuple[int, ...], int]]
) -> int | None:
    if not op.startswith((*_WEIGHTED, *_TRANSPOSED)):
        return 0
    if len(inputs) < 2:
        return None
    output, weights = outputs[0][0], inputs[1][0]
    if op.startswith(_TRANSPOSED):
        return convolution_macs(inputs[0][0], weights, weights[0])
    if op == "GroupConvolution":
        return convolution_macs(output, weights, weights[0] * weights[1])
    if op == "Convolution":
        return convolution_macs(output, weights, weights[0])
    return convolution_macs(output, weights[-2:], output[-1])
