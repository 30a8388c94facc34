"""The memory that TensorFlow Lite Micro needs for a file, planned without running it.

The arena has two ends. Tensors between operators lie at its head, where one may take the place of
another that is no longer needed; what the interpreter and its kernels keep lies at its tail.

The head is planned as TensorFlow Lite Micro plans it (``GreedyMemoryPlanner``): largest tensor first,
each into the first gap between those that live at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from edgekit.runtimes.tflite_file import FileOperator, FileTensor, TfliteFile

__all__ = ["ALIGNMENT_BYTES", "ArenaPlan", "Buffer", "Kernels", "Placed", "place", "plan_arena"]

Kernels = Literal["reference", "cmsis-nn"]

ALIGNMENT_BYTES = 16
"""Every allocation in the arena starts at a multiple of this."""


@dataclass(frozen=True)
class Buffer:
    """Memory that is needed from one operator to another, both included; ``tensor`` is None for scratch."""

    size_bytes: int
    first_use: int
    last_use: int
    tensor: int | None = None


@dataclass(frozen=True)
class Placed:
    """A buffer and where it begins."""

    buffer: Buffer
    offset: int

    @property
    def end(self) -> int:
        return self.offset + self.buffer.size_bytes


@dataclass(frozen=True)
class ArenaPlan:
    """``activation_bytes`` at the head, ``persistent_bytes`` at the tail; ``total_bytes`` is the arena.

    ``live_bytes`` is what of the head is in use at each operator; ``peak_operator`` says where that is most,
    as ``"CONV_2D output_tensor"``: no plan for this order of operators can be smaller.
    """

    activation_bytes: int
    persistent_bytes: int
    live_bytes: tuple[int, ...]
    peak_operator: str
    placed: tuple[Placed, ...]

    @property
    def peak_live_bytes(self) -> int:
        return max(self.live_bytes, default=0)

    @property
    def total_bytes(self) -> int:
        return self.activation_bytes + self.persistent_bytes


def plan_arena(file: TfliteFile, kernels: Kernels = "reference") -> ArenaPlan:
    """Plan the arena of one file.

    The tail is as large as where pointers have 64 bits; a microcontroller needs less. ``"cmsis-nn"`` adds
    the scratch memory that Arm's kernels ask for on a Cortex-M with DSP instructions.
    """
    buffers = [*_lifetimes(file), *(_scratch(file) if kernels == "cmsis-nn" else ())]
    placed = place(buffers)
    live = _live_bytes(file, buffers)
    return ArenaPlan(
        activation_bytes=max((one.end for one in placed), default=0),
        persistent_bytes=_persistent_bytes(file),
        live_bytes=live,
        peak_operator=_peak_operator(file, live),
        placed=placed,
    )


def place(buffers: Iterable[Buffer]) -> tuple[Placed, ...]:
    """Largest first, each into the first gap between those that live at the same time.

    Of equal sizes the later one comes first, as in TensorFlow Lite Micro.
    """
    numbered = list(enumerate(buffers))
    placed: list[Placed] = []
    for _, buffer in sorted(numbered, key=lambda item: (-item[1].size_bytes, -item[0])):
        offset = 0
        for other in sorted(placed, key=lambda one: one.offset):
            if not _live_together(other.buffer, buffer):
                continue
            if other.offset - offset >= buffer.size_bytes:
                break
            offset = max(offset, other.end)
        placed.append(Placed(buffer, offset))
    return tuple(placed)


def _live_together(one: Buffer, other: Buffer) -> bool:
    return one.first_use <= other.last_use and other.first_use <= one.last_use


def _aligned(size_bytes: int) -> int:
    return -(-size_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def _lifetimes(file: TfliteFile) -> Iterator[Buffer]:
    """Inputs live from the start, outputs to the end, the rest from its operator to its last reader."""
    first = dict.fromkeys(file.inputs, 0)
    last = dict.fromkeys(file.inputs, 0)
    for step, operator in enumerate(file.operators, 1):
        for tensor in operator.outputs:
            first.setdefault(tensor, step)
            last[tensor] = step
        last.update((tensor, step) for tensor in operator.inputs if tensor in first)
    last.update((tensor, len(file.operators)) for tensor in file.outputs)
    for tensor, step in first.items():
        yield Buffer(_aligned(file.tensors[tensor].size_bytes), step, last[tensor], tensor)


def _live_bytes(file: TfliteFile, buffers: list[Buffer]) -> tuple[int, ...]:
    return tuple(
        sum(one.size_bytes for one in buffers if one.first_use <= step <= one.last_use)
        for step in range(1, len(file.operators) + 1)
    )


def _peak_operator(file: TfliteFile, live: tuple[int, ...]) -> str:
    if not live:
        return ""
    operator = file.operators[live.index(max(live))]
    return f"{operator.code} {file.tensors[operator.outputs[0]].name}"


# The kernels' own records and the interpreter's, in bytes where a pointer has eight. They were read from
# the allocations that the interpreter reports (tflite-micro 0.dev20261023) for networks of each family.
_RECORD_BYTES = {
    "ADD": 60,
    "AVERAGE_POOL_2D": 32,
    "CONCATENATION": 80,
    "CONV_2D": 80,
    "DEPTHWISE_CONV_2D": 80,
    "FULLY_CONNECTED": 72,
    "LOGISTIC": 16,
    "MAX_POOL_2D": 32,
    "MEAN": 44,
    "MUL": 36,
    "PAD": 56,
    "RESHAPE": 0,
}
_OTHER_RECORD_BYTES = 64
_CHANNEL_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}
# An operator's options as parsed from the file, and a mean's notes of its scratch memory.
_OPTIONS_BYTES = {
    "AVERAGE_POOL_2D": 32,
    "CONCATENATION": 16,
    "CONV_2D": 32,
    "DEPTHWISE_CONV_2D": 32,
    "FULLY_CONNECTED": 32,
    "MAX_POOL_2D": 32,
    "MEAN": 36,
}
_TENSOR_BYTES, _NODE_BYTES, _PORT_BYTES = 24, 64, 64
_PORT_QUANTIZATION_BYTES = 32
_INTERPRETER_BYTES = 380


def _persistent_bytes(file: TfliteFile) -> int:
    ports = [file.tensors[index] for index in (*file.inputs, *file.outputs)]
    return (
        _INTERPRETER_BYTES
        + _aligned(_TENSOR_BYTES * len(file.tensors))
        + _aligned(_NODE_BYTES * len(file.operators))
        + sum(_PORT_BYTES + (_PORT_QUANTIZATION_BYTES if port.num_scales else 0) for port in ports)
        + sum(_kernel_bytes(file, operator) for operator in file.operators)
    )


def _kernel_bytes(file: TfliteFile, operator: FileOperator) -> int:
    """An operator's records, and for each output channel the multiplier and shift that requantize it."""
    record = _aligned(_RECORD_BYTES.get(operator.code, _OTHER_RECORD_BYTES))
    record += _OPTIONS_BYTES.get(operator.code, 0)
    if operator.code not in _CHANNEL_AXIS:
        return record
    weights = file.tensors[operator.inputs[1]]
    # A fully connected layer of one scale keeps it in its record; convolutions have tables even in float.
    has_tables = operator.code != "FULLY_CONNECTED" or weights.num_scales > 1
    tables = 2 * _aligned(4 * weights.shape[_CHANNEL_AXIS[operator.code]]) if has_tables else 0
    return record + tables


def _convolution_scratch(source: FileTensor, weights: FileTensor) -> int:
    """Two columns of patches in int16 (``arm_convolve_s8``); 1 × 1 convolutions read in place."""
    _, height, width, channels = weights.shape
    if height == width == 1:
        return 0
    return 2 * 2 * (-(-height * width * channels // 4) * 4)


def _depthwise_scratch(source: FileTensor, weights: FileTensor) -> int:
    """One patch in int16 (``arm_depthwise_conv_s8_opt``)."""
    _, height, width, _ = weights.shape
    return 2 * height * width * source.shape[3]


_SCRATCH: dict[str, Callable[[FileTensor, FileTensor], int]] = {
    "CONV_2D": _convolution_scratch,
    "DEPTHWISE_CONV_2D": _depthwise_scratch,
}
"""Operator → what CMSIS-NN's ``…_get_buffer_size`` asks for its int8 kernel on a Cortex-M4, M7 or M33."""


def _scratch(file: TfliteFile) -> Iterator[Buffer]:
    for step, operator in enumerate(file.operators, 1):
        ask = _SCRATCH.get(operator.code)
        source, *others = (file.tensors[index] for index in operator.inputs if index >= 0)
        if ask is None or source.dtype != "int8":
            continue
        size_bytes = ask(source, others[0])
        if size_bytes:
            yield Buffer(_aligned(size_bytes), step, step)
