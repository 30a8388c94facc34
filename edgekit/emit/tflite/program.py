"""A TFLite file as plain data: tensors and operators, before they become bytes.

Lowering appends to a :class:`Program`; everything after it (interface, versions, checks, writer) reads it.
Shapes and data are as in the file: images are NHWC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Array", "Operator", "Option", "Program", "Quantization", "Tensor", "remove_dead"]

_INT8: np.dtype[np.generic] = np.dtype(np.int8)
Array: TypeAlias = npt.NDArray[np.generic]
Option: TypeAlias = bool | int | float | tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Quantization:
    """real = (integer - zero_point) * scale; ``scale`` is float32, one, or one a channel along ``axis``.

    ``dtype`` is the integers' type, which constants have from their data.
    """

    scale: npt.NDArray[np.float32]
    zero_point: int = 0
    axis: int = 0
    dtype: np.dtype[np.generic] = _INT8

    @classmethod
    def per_tensor(cls, scale: float, zero_point: int, dtype: np.dtype[np.generic] = _INT8) -> Quantization:
        """Parameters of an activation."""
        return cls(np.asarray([scale], np.float32), zero_point, dtype=dtype)

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest integer."""
        return int(np.iinfo(self.dtype.name).min), int(np.iinfo(self.dtype.name).max)

    def same_as(self, other: Quantization | None) -> bool:
        """Whether both map integers to the same real numbers."""
        return (
            other is not None
            and self.zero_point == other.zero_point
            and self.dtype == other.dtype
            and np.array_equal(self.scale, other.scale)
        )


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor of the file; ``data`` is set exactly for constants, in the tensor's shape and dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    quantization: Quantization | None = None
    data: Array | None = None

    @property
    def per_channel(self) -> bool:
        """Whether each channel has a scale of its own."""
        return self.quantization is not None and self.quantization.scale.size > 1


@dataclass(frozen=True)
class Operator:
    """One operator: its builtin code's name, tensor indices, and the options that are not the default."""

    code: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Option] = field(default_factory=dict)


class Program:
    """Tensors and operators in execution order, with the main subgraph's inputs and outputs.

    ``in_graph_order`` names the inputs and outputs of rank 4 that are not NHWC but as in the graph.
    """

    def __init__(self) -> None:
        self.in_graph_order: set[str] = set()
        self.tensors: list[Tensor] = []
        self.operators: list[Operator] = []
        self.inputs: list[int] = []
        self.outputs: list[int] = []
        self._constants: dict[tuple[object, ...], int] = {}

    def add_tensor(
        self, name: str, shape: Sequence[int], dtype: npt.DTypeLike, quantization: Quantization | None = None
    ) -> int:
        """Index of a new computed tensor."""
        self.tensors.append(Tensor(name, tuple(shape), np.dtype(dtype), quantization))
        return len(self.tensors) - 1

    def add_constant(self, name: str, data: Array, quantization: Quantization | None = None) -> int:
        """Index of a constant; equal constants share one tensor, named after the first."""
        scale = b"" if quantization is None else quantization.scale.tobytes()
        zero_point = 0 if quantization is None else quantization.zero_point
        key = (data.dtype.str, data.shape, scale, zero_point, data.tobytes())
        if key not in self._constants:
            self.tensors.append(
                Tensor(name, data.shape, data.dtype, quantization, np.ascontiguousarray(data))
            )
            self._constants[key] = len(self.tensors) - 1
        return self._constants[key]

    def add_operator(
        self, code: str, inputs: Sequence[int], outputs: Sequence[int], **options: Option
    ) -> None:
        """Append an operator; ``options`` are fields of the schema's option table of ``code``."""
        self.operators.append(Operator(code, tuple(inputs), tuple(outputs), options))

    def keep(self, operators: Sequence[Operator]) -> None:
        """Leave only these operators, with the tensors that they and the interface use."""
        used = {index for op in operators for index in (*op.inputs, *op.outputs)}
        used.update((*self.inputs, *self.outputs))
        place = {old: new for new, old in enumerate(sorted(used))}
        self.tensors = [self.tensors[old] for old in sorted(used)]
        self.operators = [
            replace(
                op,
                inputs=tuple(place[index] for index in op.inputs),
                outputs=tuple(place[index] for index in op.outputs),
            )
            for op in operators
        ]
        self.inputs = [place[index] for index in self.inputs]
        self.outputs = [place[index] for index in self.outputs]
        self._constants = {key: place[old] for key, old in self._constants.items() if old in place}

    def producers(self) -> dict[int, Operator]:
        """Tensor index → the operator that computes it."""
        return {index: operator for operator in self.operators for index in operator.outputs}


def remove_dead(program: Program) -> None:
    """Remove operators whose results nothing reads, and tensors that no operator is left with."""
    needed = set(program.outputs)
    kept = []
    for operator in reversed(program.operators):
        if needed.intersection(operator.outputs):
            needed.update(operator.inputs)
            kept.append(operator)
    if len(kept) == len(program.operators):
        return
    program.keep(kept[::-1])
