"""What profilers of all runtimes report, and the counting that they share."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.runtimes.base import Array, Port

__all__ = [
    "WARM_UP_RUNS",
    "Operator",
    "Profile",
    "convolution_macs",
    "layer_of",
    "layers_of",
    "medians",
    "random_input",
]

WARM_UP_RUNS = 5
_SEPARATORS = "._/:;"
_OUTPUT = "logits"


@dataclass(frozen=True)
class Operator:
    """One operator as the runtime executed it, in milliseconds of one inference.

    ``name`` is the file's name for it, or the runtime's where it made the operator itself; ``op`` is the
    runtime's kernel. ``macs`` are multiply-adds, ``moved_bytes`` what it reads and writes at least once:
    inputs, weights and outputs; both None where the runtime does not tell. ``delegated``: by the
    runtime's fast path (XNNPACK for TFLite) rather than by its fallback.
    """

    name: str
    op: str
    ms: float
    macs: int | None
    moved_bytes: int | None
    delegated: bool = True

    @property
    def gmacs_per_s(self) -> float | None:
        """Multiply-adds a second, in 10⁹; None for what multiplies nothing or took no measurable time."""
        return self.macs / self.ms * 1e-6 if self.macs and self.ms > 0 else None


@dataclass(frozen=True)
class Profile:
    """Operators in the order of their execution, and the runtime that executed them."""

    operators: tuple[Operator, ...]
    runtime: str
    runtime_version: str
    num_runs: int

    @property
    def total_ms(self) -> float:
        """The sum over the operators: an inference without what the runtime does between them."""
        return math.fsum(operator.ms for operator in self.operators)


def convolution_macs(output: Sequence[int], weights: Sequence[int], filters: int) -> int:
    """Multiply-adds of a convolution or matrix product.

    ``output`` is the shape of its result and ``weights`` that of its constant, whatever their layouts;
    ``filters`` is how many output channels the weights make.
    """
    return math.prod(output) * math.prod(weights) // filters


def layer_of(name: str, layers: Collection[str]) -> str | None:
    """Which of ``layers`` an operator's name is, or begins with: ``conv_act`` belongs to ``conv``."""
    end = len(name)
    while end > 0:
        if name[:end] in layers:
            return name[:end]
        end = max(name.rfind(separator, 0, end) for separator in _SEPARATORS)
    return None


def layers_of(names: Sequence[str], layers: Sequence[str]) -> list[str | None]:
    """For each operator's name the layer that it computes, of ``layers`` in the network's order.

    The last layer's result has the name of the network's output.
    """
    known = frozenset(layers)
    ends = {_OUTPUT: layers[-1]} if layers else {}
    return [layer_of(name, known) or ends.get(name) for name in names]


def medians(runs: Sequence[Sequence[float]]) -> list[float]:
    """The median of each position over runs of equal length."""
    return [statistics.median(column) for column in zip(*runs, strict=True)]


def random_input(port: Port) -> Array:
    """Random values of an input's shape and dtype; a free dimension is 1."""
    generator = np.random.default_rng(0)
    shape = tuple(max(size, 1) for size in port.shape)
    if np.issubdtype(np.dtype(port.dtype), np.integer):
        limits = np.iinfo(port.dtype)
        return generator.integers(limits.min, limits.max, shape, dtype=port.dtype, endpoint=True)
    return generator.standard_normal(shape).astype(port.dtype)
