"""Profiling ``.onnx`` files with onnxruntime's own profiler."""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnx.shape_inference
from onnx import helper

from edgekit.profilers.base import (
    WARM_UP_RUNS,
    Operator,
    Profile,
    convolution_macs,
    layer_of,
    medians,
    random_input,
)
from edgekit.runtimes.onnx import OnnxRunner, open_session

__all__ = ["profile"]

_KERNEL = "_kernel_time"
_MADE_BY_THE_RUNTIME = re.compile(r"(_token_\d+|_nchwc|_nhwc)+$")
_WEIGHTED = ("Conv", "Gemm", "MatMul")
_BYTES = {"float16": 2, "float": 4, "double": 8, "bool": 1}


def profile(path: Path, num_threads: int, num_runs: int) -> Profile:
    """Profile a file on the CPU. Raises ModelFileError when onnxruntime cannot load it."""
    ports = OnnxRunner(path, num_threads)
    feeds = {port.name: random_input(port) for port in ports.inputs}
    with tempfile.TemporaryDirectory() as folder:
        session = open_session(path, num_threads, profile_prefix=Path(folder, "onnxruntime"))
        for _ in range(WARM_UP_RUNS + num_runs):
            session.run(None, feeds)
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    kernels = [one for one in events if one.get("cat") == "Node" and one["name"].endswith(_KERNEL)]
    count = len(kernels) // (WARM_UP_RUNS + num_runs)
    runs = [kernels[start : start + count] for start in range(WARM_UP_RUNS * count, len(kernels), count)]
    known = _work(path)
    times_ms = medians([[one["dur"] * 1e-3 for one in run] for run in runs])
    operators = tuple(_operator(event, ms, known) for event, ms in zip(runs[-1], times_ms, strict=True))
    return Profile(operators, ports.runtime, ports.version, num_runs)


class _Work(NamedTuple):
    macs: int
    weight_bytes: int


def _work(path: Path) -> dict[str, _Work]:
    """What every convolution and matrix product of the file does, by the node's name.

    The profiler does not tell: kernels keep weights, and fp32 activations, in forms of their own.
    """
    graph = onnx.shape_inference.infer_shapes(onnx.load(str(path))).graph
    weights = {one.name: _Weights(tuple(one.dims), _size_bytes(one)) for one in graph.initializer}
    for node in graph.node:
        if node.op_type in ("DequantizeLinear", "Cast") and node.input[0] in weights:
            weights[node.output[0]] = weights[node.input[0]]
    shapes = {
        value.name: tuple(dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    return {
        node.name: _Work(
            _macs(node.op_type, shapes[node.input[0]], shapes[node.output[0]], weights[node.input[1]].shape),
            weights[node.input[1]].size_bytes,
        )
        for node in graph.node
        if node.op_type.startswith(_WEIGHTED)
        and node.input[1] in weights
        and {node.input[0], node.output[0]} <= shapes.keys()
    }


class _Weights(NamedTuple):
    shape: tuple[int, ...]
    size_bytes: int


def _size_bytes(tensor: onnx.TensorProto) -> int:
    itemsize: int = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    return int(math.prod(tensor.dims)) * itemsize


def _macs(op: str, image: Sequence[int], output: Sequence[int], weights: Sequence[int]) -> int:
    if op == "ConvTranspose":
        return convolution_macs(image, weights, weights[0])
    return convolution_macs(output, weights, weights[0] if op == "Conv" else output[-1])


def _operator(event: Mapping[str, Any], ms: float, known: Mapping[str, _Work]) -> Operator:
    arguments = event["args"]
    name = _MADE_BY_THE_RUNTIME.sub("", event["name"].removesuffix(_KERNEL))
    tensors = [*_tensors(arguments["input_type_shape"]), *_tensors(arguments["output_type_shape"])]
    moved_bytes = sum(_bytes(dtype) * math.prod(shape) for dtype, shape in tensors)
    op = str(arguments["op_name"])
    # A convolution with its activation fused has the activation's name.
    layer = layer_of(name, known) if any(word in op for word in _WEIGHTED) else None
    if layer is None:
        return Operator(name, op, ms, 0, moved_bytes)
    return Operator(name, op, ms, known[layer].macs, moved_bytes + known[layer].weight_bytes)


def _tensors(described: Sequence[Mapping[str, Sequence[int]]]) -> list[tuple[str, Sequence[int]]]:
    return [(dtype, shape) for one in described for dtype, shape in one.items()]


def _bytes(dtype: str) -> int:
    return _BYTES.get(dtype) or np.dtype(dtype).itemsize
