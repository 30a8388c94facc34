"""How large the exported file of a network will be, from its table: weights, and what a format adds to them.

What is added is a sum over operators and channels (names, shapes, scales and zero points). The figures
bound the files that this project writes from above, so that a network that is said to fit a budget does;
how tight the bound is, is measured by the tests on files.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from edgekit.models.cost import weight_bytes
from edgekit.models.layers import Activation, Add, Concat, Conv, GlobalPool, Layer, Linear, MaxPool, Mul
from edgekit.models.network import Network, Structure
from edgekit.options import Format, Precision

__all__ = ["file_bytes"]


class _Overhead(NamedTuple):
    """Bytes beside the weights: of the file, of each operator with weights and without, of each channel."""

    file: int
    weighted: int
    other: int
    channel: int

    def plus(self, weighted: int, other: int, channel: int) -> _Overhead:
        return _Overhead(self.file, self.weighted + weighted, self.other + other, self.channel + channel)


_TFLITE = _Overhead(1_900, 312, 110, 0)
_ONNX = _Overhead(9_000, 525, 65, 0)
_OPENVINO = _Overhead(12_500, 2_330, 400, 0)

_OVERHEADS: dict[tuple[Format, Precision], _Overhead] = {
    ("tflite", "fp32"): _TFLITE,
    ("tflite", "fp16"): _TFLITE.plus(115, 0, 2),
    ("tflite", "int8"): _TFLITE.plus(360, 40, 10),
    ("tflite", "dynamic"): _TFLITE.plus(0, 0, 12),
    ("tflite", "weight-only"): _TFLITE.plus(200, 0, 8),
    ("tflite", "int16"): _TFLITE.plus(360, 40, 10),
    ("onnx", "fp32"): _ONNX,
    ("onnx", "fp16"): _ONNX.plus(110, 110, 2),
    ("onnx", "int8"): _ONNX.plus(1_310, 680, 13),
    ("onnx", "dynamic"): _ONNX.plus(1_310, 680, 13),
    ("onnx", "weight-only"): _ONNX.plus(1_310, 680, 13),
    ("openvino", "fp32"): _OPENVINO,
    ("openvino", "fp16"): _OPENVINO.plus(1_160, 0, 0),
    ("openvino", "int8"): _OPENVINO.plus(6_200, 1_500, 9),
    ("openvino", "weight-only"): _OPENVINO.plus(6_200, 1_500, 9),
}
_FUSED = ("relu", "relu6")


def file_bytes(network: Network, format_: Format, precision: Precision) -> int:
    """An upper bound of the file's size in bytes, with its metadata but without embedded labels."""
    overhead = _OVERHEADS[format_, precision]
    weights = weighted = others = channels = 0
    for _, repeat, site in network.runs:
        areas = site.areas
        parts = _parts(site.structure)
        weighted += repeat * parts.weighted
        others += repeat * parts.others
        channels += repeat * parts.channels
        weights += repeat * (parts.weights + sum(count * areas[extent] for extent, count in parts.flat))
    return (
        weight_bytes(weights, channels, precision)
        + overhead.file
        + overhead.weighted * weighted
        + overhead.other * others
        + overhead.channel * channels
    )


class _Parts(NamedTuple):
    """What a block holds; ``flat`` are weights for each pixel of an extent, behind a flattened image."""

    weighted: int
    others: int
    channels: int
    weights: int
    flat: tuple[tuple[int, int], ...]


def _operators(layer: Layer) -> int:
    """Operators without weights that ``layer`` becomes in the file: SiLU is a sigmoid and a product."""
    if isinstance(layer, Activation):
        return 0 if layer.kind in _FUSED else 1 + (layer.kind == "silu")
    return int(isinstance(layer, Add | Mul | Concat | MaxPool | GlobalPool))


@lru_cache(maxsize=1 << 15)
def _parts(structure: Structure) -> _Parts:
    convolutions = [layer for layer in structure.layers if isinstance(layer, Conv)]
    linears = [layer for layer in structure.layers if isinstance(layer, Linear)]
    return _Parts(
        weighted=len(convolutions) + len(linears),
        others=sum(_operators(layer) for layer in structure.layers),
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
