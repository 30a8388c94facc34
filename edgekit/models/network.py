"""A network as data: named blocks in order, for one scale, without torch.

One tensor flows from block to block. What a block does to a shape is recorded once and cached, so
that building, counting and searching all read the same layers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from edgekit.errors import InputError
from edgekit.models.blocks import Block
from edgekit.models.layers import Layer, Padding, Shape, Tape, Tensor, TooSmallError
from edgekit.models.scale import Scale, check_scale

__all__ = ["Convention", "Network", "PlacedBlock", "Run", "Trace", "Unit", "trace"]


@dataclass(frozen=True)
class Unit:
    """``repeat`` equal blocks in a row. ``name`` ending in ``.`` is numbered: ``blocks.3``."""

    name: str
    block: Block
    repeat: int = 1


@dataclass(frozen=True)
class Convention:
    """What weights assume of the network beyond its table: padding and batch norm's epsilon."""

    padding: Padding = "torch"
    bn_eps: float = 1e-5


class Trace(NamedTuple):
    """A block's layers for one input shape, in order; the last makes the output."""

    layers: tuple[Layer, ...]
    out_shape: Shape


class Run(NamedTuple):
    """``count`` equal blocks in a row, alike in input and layers."""

    unit: Unit
    count: int
    in_shape: Shape
    trace: Trace


class PlacedBlock(NamedTuple):
    """One block in its place: ``blocks.3``, what it reads and its layers."""

    name: str
    in_shape: Shape
    trace: Trace


@lru_cache(maxsize=1 << 15)
def trace(block: Block, in_shape: Shape, convention: Convention) -> Trace:
    """The layers of ``block`` for an input of ``in_shape`` (CHW)."""
    tape = Tape(convention.padding, convention.bn_eps)
    out = block.record(tape, Tensor("", in_shape))
    return Trace(tuple(tape.layers), out.shape)


@dataclass(frozen=True)
class Network:
    """One member of a family at one scale.

    ``name`` is the zoo's name, ``family`` the table it comes from. The input is
    ``(in_channels, resolution, resolution)``, the output ``(num_classes,)`` logits.
    """

    name: str
    family: str
    scale: Scale
    units: tuple[Unit, ...]
    convention: Convention = Convention()

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the image."""
        return (self.scale.in_channels, self.scale.resolution, self.scale.resolution)

    @property
    def padding(self) -> Padding:
        """How convolutions pad: as torch's weights or as TensorFlow's expect it."""
        return self.convention.padding

    def runs(self) -> Iterator[Run]:
        """The blocks in order, equal neighbours as one."""
        shape: Shape = self.input_shape
        for unit in self.units:
            left = unit.repeat
            while left:
                recorded = trace(unit.block, shape, self.convention)
                count = left if recorded.out_shape == shape else 1
                yield Run(unit, count, shape, recorded)
                shape = recorded.out_shape
                left -= count

    def blocks(self) -> Iterator[PlacedBlock]:
        """Every block in order."""
        numbers: Counter[str] = Counter()
        for run in self.runs():
            for _ in range(run.count):
                name = run.unit.name
                if name.endswith("."):
                    numbers[name] += 1
                    name = f"{name}{numbers[name] - 1}"
                yield PlacedBlock(name, run.in_shape, run.trace)

    def with_convention(self, convention: Convention) -> Network:
        """The same network with the padding and epsilon that some weights assume."""
        return replace(self, convention=convention)

    def check(self) -> Network:
        """This network, or :class:`InputError` for a scale that cannot be built."""
        check_scale(self.scale)
        if not _fits(self):
            raise InputError(
                f"{self.name} cannot be built at resolution {self.scale.resolution}, "
                f"its smallest is {_smallest_resolution(self)}"
            )
        return self


def _fits(network: Network) -> bool:
    try:
        for _ in network.runs():
            pass
    except TooSmallError:
        return False
    return True


def _smallest_resolution(network: Network) -> int:
    resolution = network.scale.resolution
    while not _fits(network):
        resolution += 1
        network = replace(network, scale=replace(network.scale, resolution=resolution))
    return resolution
