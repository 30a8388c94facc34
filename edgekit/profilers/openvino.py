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
_WEIGHTED = ("Convolution", "GroupConvolution", "FullyConnected", "MatMul")  # as prefixes
_TRANSPOSED = ("Deconvolution",)


def profile(path: Path, num_threads: int, num_runs: int) -> Profile:
    """Profile a file on the CPU. Raises ModelFileError when OpenVINO cannot load it."""
    runner = OpenvinoRunner(path, num_threads, profile=True)
    feeds = {port.name: random_input(port) for port in runner.inputs}
    for _ in range(WARM_UP_RUNS):
        runner.run_named(feeds)
    runs: list[list[float]] = []
    executed: list[Any] = []
    for _ in range(num_runs):
        runner.run_named(feeds)
        executed = [one for one in runner.counters() if one.status.name == _EXECUTED]
        runs.append([one.real_time.total_seconds() * 1e3 for one in executed])
    nodes = {node.get_friendly_name(): node for node in runner.executed_graph()}
    operators = tuple(
        _operator(one.node_name, one.node_type, nodes, ms)
        for one, ms in zip(executed, medians(runs), strict=True)
    )
    return Profile(operators, runner.runtime, runner.version, num_runs)


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
