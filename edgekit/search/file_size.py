"""How large the exported file of a network will be, from its table: weights, and what a format adds to them.

What is added is a sum over operators and channels (names, shapes, scales and zero points). The figures
bound the files that this project writes from above, so that a network that is said to fit a budget does;
how tight the bound is, is measured by the tests on files.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from edgekit.models.cost import weight_bytes
from edgekit.models.layers import BatchNorm, Conv, Dropout, Flatten, Linear
from edgekit.models.network import Network, Structure
from edgekit.options import Format, Precision

__all__ = ["file_bytes"]


class _Overhead(NamedTuple):
    """Bytes beside the weights: of the file, of each operator, of each output channel that has weights."""

    file: int
    operator: int
    channel: int

    def plus(self, operator: int, channel: int) -> _Overhead:
        return _Overhead(self.file, self.operator + operator, self.channel + channel)


_TFLITE = _Overhead(4_000, 250, 0)
_ONNX = _Overhead(9_000, 440, 0)
_OPENVINO = _Overhead(25_000, 1_800, 0)

_OVERHEADS: dict[tuple[Format, Precision], _Overhead] = {
    ("tflite", "fp32"): _TFLITE,
    ("tflite", "fp16"): _TFLITE.plus(110, 2),
    ("tflite", "int8"): _TFLITE.plus(0, 12),
    ("tflite", "dynamic"): _TFLITE.plus(0, 12),
    ("onnx", "fp32"): _ONNX,
    ("onnx", "fp16"): _ONNX.plus(110, 2),
    ("onnx", "int8"): _ONNX.plus(0, 24),
    ("onnx", "dynamic"): _ONNX.plus(0, 24),
    ("openvino", "fp32"): _OPENVINO,
    ("openvino", "fp16"): _OPENVINO.plus(1_000, 2),
    ("openvino", "int8"): _OPENVINO.plus(5_800, 9),
}
_FREE = (BatchNorm, Flatten, Dropout)


def file_bytes(network: Network, format_: Format, precision: Precision) -> int:
    """An upper bound of the file's size in bytes, embedded labels and metadata included."""
    overhead = _OVERHEADS[format_, precision]
    weights = operators = channels = 0
    for _, repeat, site in network.runs:
        areas = [height * width for height, width in site.sizes]
        parts = _parts(site.structure)
        operators += repeat * parts.operators
        channels += repeat * parts.channels
        weights += repeat * (parts.weights + sum(count * areas[extent] for extent, count in parts.flat))
    return (
        weight_bytes(weights, channels, precision)
        + overhead.file
        + overhead.operator * operators
        + overhead.channel * channels
    )


class _Parts(NamedTuple):
    """What a block holds; ``flat`` are weights for each pixel of an extent, behind a flattened image."""

    operators: int
    channels: int
    weights: int
    flat: tuple[tuple[int, int], ...]


@lru_cache(maxsize=1 << 15)
def _parts(structure: Structure) -> _Parts:
    convolutions = [layer for layer in structure.layers if isinstance(layer, Conv)]
    linears = [layer for layer in structure.layers if isinstance(layer, Linear)]
    return _Parts(
        operators=sum(not isinstance(layer, _FREE) for layer in structure.layers),
        channels=sum(layer.out.channels for layer in convolutions)
        + sum(layer.out.channels for layer in linears),
        weights=sum(
            layer.out.channels * layer.inputs[0].channels // layer.groups * layer.kernel[0] * layer.kernel[1]
            for layer in convolutions
        ),
        flat=tuple(
            (layer.inputs[0].extent, layer.out.channels * layer.inputs[0].channels) for layer in linears
        ),
    )
