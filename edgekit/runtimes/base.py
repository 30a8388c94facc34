"""What every runtime's runner offers: named inputs and outputs, and one call that runs the network.

A runner executes one file exactly as an application would. It neither normalizes nor quantizes: an
integer input takes integers, and :class:`Port` says by which scale and zero point.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

from edgekit.errors import InputError, ModelFileError

__all__ = ["Array", "IntegerCoverage", "Port", "Runner", "check_num_threads", "readable_file"]

Array = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Port:
    """One input or output of a file.

    A dimension that the file leaves free is -1; ``dtype`` is numpy's name. ``scale`` and ``zero_point``
    are set when the file says how its integers are read: real = (integer - zero_point) * scale.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True)
class IntegerCoverage:
    """How much of an int8 file its runtime executes in integers, after its own graph optimizations.

    ``integer_ops`` and ``float_ops`` count operators by type. ``boundary_conversions`` are the quantize
    and dequantize steps at the network's inputs and outputs, which float32 I/O needs;
    ``inner_conversions`` are those left between operators, each a sign of a float island.
    ``float_sums`` are additions of what integer layers computed, in float and with the rounding of their
    sums, where the file leaves terms unrounded on purpose.
    """

    integer_ops: Mapping[str, int] = field(default_factory=dict)
    float_ops: Mapping[str, int] = field(default_factory=dict)
    boundary_conversions: int = 0
    inner_conversions: int = 0
    float_sums: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether every operator between the boundary conversions runs in integers, but for float sums."""
        return bool(self.integer_ops) and not self.float_ops and not self.inner_conversions


class Runner(ABC):
    """One loaded file. Not safe for use by several threads at once."""

    runtime: ClassVar[Literal["tflite", "onnx", "openvino"]]

    def __init__(self, path: Path, version: str, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
        self.path = path
        self.version = version
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)

    @property
    def input(self) -> Port:
        """The only input; :class:`~edgekit.errors.InputError` when there are several."""
        return _only(self.inputs, "input", self.path)

    @property
    def output(self) -> Port:
        """The only output; :class:`~edgekit.errors.InputError` when there are several."""
        return _only(self.outputs, "output", self.path)

    def run(self, array: npt.ArrayLike) -> Array:
        """Run a network of one input and one output; the array has the input's shape and dtype."""
        return self.run_named({self.input.name: array})[self.output.name]

    def run_named(self, feeds: Mapping[str, npt.ArrayLike]) -> dict[str, Array]:
        """Run on one array for each input; the results are copies, safe to keep.

        Raises InputError for a name, shape or dtype that the file does not have.
        """
        expected = {port.name: port for port in self.inputs}
        if set(feeds) != set(expected):
            raise InputError(f"inputs {sorted(feeds)} were given, {self.path.name} has {sorted(expected)}")
        arrays = {name: self._checked(expected[name], np.asarray(array)) for name, array in feeds.items()}
        return self._run(arrays)

    @abstractmethod
    def _run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run on checked, contiguous arrays."""

    def _checked(self, port: Port, array: Array) -> Array:
        if array.dtype != np.dtype(port.dtype) or not _fits(array.shape, port.shape):
            raise InputError(
                f"input {port.name!r} of {self.path.name} was given {array.dtype} {list(array.shape)}, "
                f"expected {port.dtype} {list(port.shape)}"
            )
        return np.ascontiguousarray(array)


def _fits(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    if len(shape) != len(expected):
        return False
    return all(want in (-1, have) for have, want in zip(shape, expected, strict=True))


def _only(ports: tuple[Port, ...], kind: str, path: Path) -> Port:
    if len(ports) != 1:
        names = [port.name for port in ports]
        raise InputError(f"{path.name} has {len(ports)} {kind}s {names}, expected one", hint="use run_named")
    return ports[0]


def readable_file(path: Path, suffix: str = "") -> Path:
    """``path`` when it is a file that is not empty, else ModelFileError; ``suffix`` replaces its suffix."""
    file = path.with_suffix(suffix) if suffix else path
    if not file.is_file():
        raise ModelFileError(f"{file} is not a file", hint="check the path, or export the model again")
    if file.stat().st_size == 0:
        raise ModelFileError(f"{file} is empty", hint="export the model again")
    return file


def check_num_threads(num_threads: int) -> int:
    """``num_threads`` when it is positive, else InputError."""
    if num_threads < 1:
        raise InputError(f"num_threads is {num_threads}, expected 1 or more")
    return num_threads
