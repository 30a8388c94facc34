"""Profiling ``.tflite`` files: LiteRT's events, each with the operator of the file that it executes.

XNNPACK names its kernels, not the file's operators, but runs them in the file's order. So events and
operators are aligned in order, by which kernels may execute which operator; an operator without an event
was fused into another.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

from edgekit.profilers.base import WARM_UP_RUNS, Operator, Profile, convolution_macs, medians, random_input
from edgekit.profilers.litert import Event, ProfilingSession
from edgekit.runtimes import tflite_file
from edgekit.runtimes.tflite import TfliteRunner
from edgekit.runtimes.tflite_file import FileOperator, TfliteFile

__all__ = ["align", "looked_up", "macs_of", "profile"]

_KERNELS = {
    "CONV_2D": ("Convolution", "Fully Connected", "Dynamic Fully Connected", "Batch Matrix Multiply"),
    "DEPTHWISE_CONV_2D": ("Convolution",),
    "TRANSPOSE_CONV": ("Deconvolution",),
    "FULLY_CONNECTED": ("Fully Connected", "Dynamic Fully Connected", "Batch Matrix Multiply"),
    "MUL": ("Multiply",),
    "SUB": ("Subtract",),
    "DIV": ("Divide",),
    "MEAN": ("Mean", "Global Average Pooling"),
    "AVERAGE_POOL_2D": ("Average Pooling",),
    "MAX_POOL_2D": ("Max Pooling",),
    "PAD": ("Constant Pad",),
    "PADV2": ("Constant Pad",),
    "RESHAPE": ("Static Reshape", "Copy"),
    "SLICE": ("Static Slice", "Slice"),
    "LOGISTIC": ("Sigmoid",),
    "HARD_SWISH": ("HardSwish",),
    "QUANTIZE": ("Convert",),
    "DEQUANTIZE": ("Convert",),
    "RESIZE_BILINEAR": ("Resize Bilinear", "Static Resize Bilinear"),
    "DEPTH_TO_SPACE": ("Depth To Space",),
    "RELU": ("Clamp",),
    "RELU6": ("Clamp",),
    "RELU_N1_TO_1": ("Clamp",),
    "PRELU": ("PReLU",),
    "LEAKY_RELU": ("Leaky ReLU",),
    "CONCATENATION": ("Concatenate", "Copy"),
}
"""Operator → how the names of XNNPACK's kernels for it begin; another operator has its own name's."""
_TABLE = "Invalid Unary Op"
"""How XNNPACK calls what it looks up in a table: an int8 function of one number, made of one operator or of
several that follow each other."""
_LOOKED_UP = ("ADD", "SUB", "MUL", "LOGISTIC", "TANH", "HARD_SWISH", "RELU6")
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
_STEM = 5
_GROUP = 10
"""Runs that are averaged; medians are of groups."""
_NEVER = 10**6
_LEFT_OUT, _UNLIKELY = 2, 1
"""What an alignment costs: an event or an operator without the other, a kernel for what tables mostly do."""
_BYTE = ("int8", "uint8")


def profile(path: Path, num_threads: int, num_runs: int) -> Profile:
    """Profile a file on the CPU with the XNNPACK delegate, as LiteRT runs it by default."""
    runner = TfliteRunner(path, num_threads)
    session = ProfilingSession(path, num_threads)
    try:
        for index, port in enumerate(runner.inputs):
            session.write(index, random_input(port))
        session.run(WARM_UP_RUNS)
        groups = [session.run(_GROUP) for _ in range(-(-num_runs // _GROUP))]
    finally:
        session.close()
    times_ms = medians([[event.ms for event in group] for group in groups])
    events = [event._replace(ms=ms) for event, ms in zip(groups[0], times_ms, strict=True)]
    file = tflite_file.read(path)
    aligned = align(events, file.operators, looked_up(file))
    operators = tuple(_operator(event, one, file) for event, one in zip(events, aligned, strict=True))
    return Profile(operators, "tflite", version("ai-edge-litert"), _GROUP * len(groups))


def looked_up(file: TfliteFile) -> frozenset[FileOperator]:
    """Operators that compute an int8 function of one number: XNNPACK looks such a function up in a table."""
    # Which tensor's numbers alone each tensor is a function of.
    source: dict[int, int] = {}
    found: set[FileOperator] = set()
    for operator in file.operators:
        inputs = [file.tensors[index] for index in operator.inputs if index >= 0]
        sources = {source.get(i, i) for i in operator.inputs if i >= 0 and not file.tensors[i].is_constant}
        if (
            operator.code in _LOOKED_UP
            and len(sources) == 1
            and all(one.dtype in _BYTE for one in inputs)
            and all(math.prod(one.shape) == 1 for one in inputs if one.is_constant)
        ):
            found.add(operator)
            source[operator.outputs[0]] = sources.pop()
    return frozenset(found)


def align(
    events: Sequence[Event], operators: Sequence[FileOperator], tabled: Collection[FileOperator] = ()
) -> list[FileOperator | None]:
    """For each event the operator that it executes, None for one that the runtime added.

    The alignment keeps the order and leaves out as few of both as possible. ``tabled`` operators are such as
    :func:`looked_up` finds. A clamp behind an operator that it was fused into in the file belongs to that.
    """
    kinds = [(operator.code, operator in tabled) for operator in operators]
    costs = [[_cost(event.kernel, event.delegated, *kind) for kind in kinds] for event in events]
    # least[i][j]: what it costs to align the events from i and the operators from j on.
    least = [
        [_LEFT_OUT * (len(events) - i + len(operators) - j) for j in range(len(operators) + 1)]
        for i in range(len(events) + 1)
    ]
    for i in range(len(events) - 1, -1, -1):
        for j in range(len(operators) - 1, -1, -1):
            least[i][j] = min(
                least[i][j + 1] + _LEFT_OUT,
                least[i + 1][j] + _LEFT_OUT,
                least[i + 1][j + 1] + costs[i][j],
            )
    found: list[FileOperator | None] = []
    for event, operator in zip(events, _matches(least, costs, operators), strict=True):
        is_fused = operator is None and event.kernel.startswith(_KERNELS["RELU"])
        found.append(found[-1] if is_fused and found else operator)
    return found


def _matches(
    least: Sequence[Sequence[int]], costs: Sequence[Sequence[int]], operators: Sequence[FileOperator]
) -> Iterator[FileOperator | None]:
    j = 0
    for i in range(len(costs)):
        matched = None
        while matched is None and j < len(operators):
            if least[i][j] == least[i + 1][j + 1] + costs[i][j]:
                matched = operators[j]
            elif least[i][j] != least[i][j + 1] + _LEFT_OUT:
                break
            j += 1
        yield matched


@cache
def _cost(kernel: str, delegated: bool, code: str, is_tabled: bool) -> int:
    """Of a kernel's executing an operator."""
    if not delegated:
        return 0 if kernel == code else _NEVER
    if kernel == _TABLE:
        return 0 if is_tabled else _NEVER
    begins = _KERNELS.get(code)
    executes = kernel.startswith(begins) if begins else kernel.upper().startswith(code.split("_")[0][:_STEM])
    return _NEVER if not executes else _UNLIKELY if is_tabled else 0


def _operator(event: Event, operator: FileOperator | None, file: TfliteFile) -> Operator:
    if operator is None:
        return Operator(event.name, event.kernel, event.ms, 0, None, event.delegated)
    tensors = [file.tensors[index] for index in (*operator.inputs, *operator.outputs) if index >= 0]
    return Operator(
        file.tensors[operator.outputs[0]].name,
        event.kernel,
        event.ms,
        macs_of(operator, file),
        sum(tensor.size_bytes for tensor in tensors),
        event.delegated,
    )


def macs_of(operator: FileOperator, file: TfliteFile) -> int:
    """Multiply-adds of one operator of ``file``."""
    if operator.code not in _WEIGHTED:
        return 0
    output = file.tensors[operator.outputs[0]].shape
    if operator.code == "TRANSPOSE_CONV":
        _, weights, image = (file.tensors[index].shape for index in operator.inputs[:3])
        return convolution_macs(image, weights, weights[-1])
    return convolution_macs(output, file.tensors[operator.inputs[1]].shape, output[-1])
