"""The layers of an exported file as its runtime sees them, and the numbers that come out of each.

A *layer* is one operator that computes (a convolution, an addition, a pool) with what the file appends to
it: a bias, a clamp, the quantization of its output. What only moves numbers (reshape, pad, transpose,
quantize) is no layer. :func:`open_layers` reads any file of the three formats, whoever wrote it.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

import numpy as np
import numpy.typing as npt

from edgekit.errors import ModelFileError
from edgekit.runtimes.base import Array, Port

__all__ = ["NETWORK_INPUT", "FileLayer", "Grid", "LayerReader", "Step", "Window", "layers_of", "open_layers"]

FloatArray = npt.NDArray[np.float32]

NETWORK_INPUT = -1
"""What :attr:`FileLayer.inputs` holds for the image."""

_READERS = {
    ".tflite": "edgekit.runtimes.tflite_layers",
    ".onnx": "edgekit.runtimes.onnx_layers",
    ".xml": "edgekit.runtimes.openvino_layers",
}
_SUFFIXES = (".quantized", ".dequantized", ".quantize", ".dequantize", "/WithoutBiases", ".weight", ".float")


@dataclass(frozen=True)
class Window:
    """How a convolution slides: ``pads`` are top, left, bottom, right, ``None`` for TensorFlow's SAME."""

    strides: tuple[int, int]
    pads: tuple[int, int, int, int] | None
    dilations: tuple[int, int]
    group: int


@dataclass(frozen=True)
class Grid:
    """The real numbers that a quantized tensor can hold: ``(integer - zero_point) * scale``."""

    scale: float
    zero_point: int
    lowest: int
    highest: int

    @property
    def low(self) -> float:
        """Smallest real number that the integers hold."""
        return (self.lowest - self.zero_point) * self.scale

    @property
    def high(self) -> float:
        """Largest real number that the integers hold."""
        return (self.highest - self.zero_point) * self.scale

    def nearest(self, values: FloatArray) -> FloatArray:
        """Each number as its integer gives it back, saturating."""
        integers = np.rint(values / np.float32(self.scale)) + np.float32(self.zero_point)
        np.clip(integers, self.lowest, self.highest, out=integers)
        reals: FloatArray = (integers - np.float32(self.zero_point)) * np.float32(self.scale)
        return reals


@dataclass(frozen=True, eq=False)
class FileLayer:
    """One layer. ``names`` are all that the file calls it by, the first for people.

    ``inputs`` are the indices of the layers that it reads, :data:`NETWORK_INPUT` for the image.
    ``tensor`` and ``source`` are keys of :meth:`LayerReader.run`: its output, and, of a weighted layer,
    what it multiplies. ``weight`` holds real numbers, OIHW or ``[out, in]``; ``grid`` is set where the
    output is quantized.
    """

    names: tuple[str, ...]
    op: str
    inputs: tuple[int, ...]
    tensor: str
    source: str = ""
    weight: FloatArray | None = None
    is_per_channel: bool = False
    window: Window | None = None
    grid: Grid | None = None


@dataclass(frozen=True, eq=False)
class Step:
    """One operator of a file, reduced to what layers are made of.

    ``layer`` computes; ``clamp`` adds a bias or limits what a layer computed; ``grid`` says that the
    output is (to be read as) quantized, ``None`` that the grid is known elsewhere; ``move`` rearranges.
    Constants are not among ``inputs``. ``tensor`` is what has to be read to know the output.
    """

    role: Literal["layer", "clamp", "quantize", "move"]
    op: str
    names: tuple[str, ...]
    inputs: tuple[str, ...]
    output: str
    tensor: str = ""
    weight: FloatArray | None = None
    is_per_channel: bool = False
    window: Window | None = None
    grid: Grid | None = None


class LayerReader(ABC):
    """One file whose layers can be read. ``input`` and ``output`` are the network's."""

    def __init__(self, path: Path, layers: Sequence[FileLayer], input: Port, output: Port) -> None:
        self.path = path
        self.layers = tuple(layers)
        self.input = input
        self.output = output

    @abstractmethod
    def run(self, array: Array, tensors: Iterable[str]) -> dict[str, FloatArray]:
        """Real numbers of ``tensors`` for one input in the file's own layout and dtype; images are NCHW."""


def open_layers(path: Path | str) -> LayerReader:
    """Read a ``.tflite``, ``.onnx`` or ``.xml`` file, of edgekit or of another tool.

    Raises ModelFileError for a file that is missing, damaged or of another format, MissingExtraError
    when its runtime is not installed.
    """
    path = Path(path)
    module = _READERS.get(path.suffix.lower())
    if module is None:
        raise ModelFileError(
            f"{path} has the suffix {path.suffix or '(none)'!r}, expected one of {', '.join(_READERS)}"
        )
    return cast(LayerReader, importlib.import_module(module).open_layers(path))


@dataclass
class _Growing:
    """A layer while the operators after it are looked at; ``tail`` is the value that it ends in so far."""

    step: Step
    inputs: tuple[int, ...]
    tail: str
    tensor: str
    grid: Grid | None
    names: list[str] = field(default_factory=list)


def layers_of(steps: Sequence[Step], network_input: str) -> list[FileLayer]:
    """Join operators, in execution order, to layers."""
    readers = Counter(name for step in steps for name in step.inputs)
    owner = {network_input: NETWORK_INPUT}
    layers: list[_Growing] = []
    for step in steps:
        before = next((owner[name] for name in step.inputs if name in owner), None)
        if before is None:
            continue  # computed from constants alone
        grown = layers[before] if before != NETWORK_INPUT else None
        continues = grown is not None and grown.tail == step.inputs[0] and readers[grown.tail] == 1
        if step.role == "layer" or (step.role == "clamp" and not continues):
            owner[step.output] = len(layers)
            layers.append(_started(step, owner))
            continue
        owner[step.output] = before
        if grown is not None and grown.tail in step.inputs and step.role != "move":
            _extend(grown, step)
    return [_finished(layer) for layer in layers]


def _started(step: Step, owner: Mapping[str, int]) -> _Growing:
    inputs = tuple(owner[name] for name in step.inputs if name in owner)
    tensor = step.tensor or step.output
    return _Growing(step, inputs, step.output, tensor, step.grid, list(step.names))


def _extend(layer: _Growing, step: Step) -> None:
    layer.tail = step.output
    layer.names += step.names
    if step.role == "clamp" or step.grid is not None:
        layer.tensor, layer.grid = step.tensor or step.output, step.grid


def _finished(layer: _Growing) -> FileLayer:
    names = tuple(dict.fromkeys(filter(None, map(_plain, layer.names))))
    return FileLayer(
        names=names,
        op=layer.step.op,
        inputs=layer.inputs,
        tensor=layer.tensor,
        source=layer.step.inputs[0] if layer.step.weight is not None else "",
        weight=layer.step.weight,
        is_per_channel=layer.step.is_per_channel,
        window=layer.step.window,
        grid=layer.grid,
    )


def _plain(name: str) -> str:
    """A name without what quantization appends to it."""
    suffix = next((suffix for suffix in _SUFFIXES if name.endswith(suffix)), None)
    return name if suffix is None else _plain(name.removesuffix(suffix))
