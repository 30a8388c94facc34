"""A network as data: named blocks in order, for one scale, without torch.

One tensor flows from block to block. What a block consists of is recorded once for its input's
channels and cached; its sizes follow from the input's height and width.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple

from edgekit.errors import InputError
from edgekit.models.blocks import Block
from edgekit.models.layers import INPUT, INPUT_EXTENT, Layer, Tensor, Window
from edgekit.models.scale import Scale
from edgekit.models.tape import Tape

__all__ = [
    "PORTED",
    "TENSORFLOW",
    "TORCH",
    "Convention",
    "Network",
    "Padding",
    "PlacedBlock",
    "Run",
    "Site",
    "Size",
    "Structure",
    "Unit",
    "repeated",
    "split_padding",
    "structure",
]

Size = tuple[int, int]
"""(height, width)"""
Padding = Literal["torch", "same"]
"""``torch``: ``kernel // 2`` on both sides. ``same``: TensorFlow's SAME, odd pixels at the end."""


@dataclass(frozen=True)
class Unit:
    """``repeat`` equal blocks in a row. A ``name`` that ends in ``.`` is numbered: ``blocks.3``.

    ``aside`` is for training alone: it reads what flows by and gives answers of its own, as auxiliary
    classifiers do. A resolution that it is too large for leaves it out.
    """

    name: str
    block: Block
    repeat: int = 1
    aside: bool = False


def repeated(name: str, first: Block, other: Block, repeats: int) -> tuple[Unit, ...]:
    """A stage of ``repeats`` blocks whose first differs, as one that strides does."""
    if first == other:
        return (Unit(name, first, repeats),)
    return (Unit(name, first), Unit(name, other, repeats - 1))[: min(repeats, 2)]


@dataclass(frozen=True)
class Convention:
    """What weights assume of the network beyond its table: padding and batch norm's epsilon."""

    padding: Padding = "torch"
    bn_eps: float = 1e-5


TORCH = Convention(padding="torch", bn_eps=1e-5)
"""The defaults of torch.nn."""
TENSORFLOW = Convention(padding="same", bn_eps=1e-3)
"""What weights trained by the TensorFlow reference implementations assume."""
PORTED = Convention(padding="torch", bn_eps=1e-3)
"""torch's padding with TensorFlow's epsilon: networks that torch's libraries took over from there."""


@dataclass(frozen=True, eq=False)
class Structure:
    """A block's layers for one channel count, in order; the last makes the output.

    Compared by identity, which is cheap: :func:`structure` returns the same one for the same block.
    """

    layers: tuple[Layer, ...]
    windows: tuple[Window, ...]
    output: Tensor


class Site(NamedTuple):
    """A block's structure at its place in a network. ``sizes[i]`` is what extent ``i`` measures."""

    structure: Structure
    sizes: tuple[Size, ...]
    convention: Convention

    @property
    def areas(self) -> list[int]:
        """How many pixels each extent has."""
        return [height * width for height, width in self.sizes]

    def shape(self, tensor: Tensor) -> tuple[int, ...]:
        """(channels, height, width), or (features,) of a flat tensor."""
        height, width = self.sizes[tensor.extent]
        if tensor.flat:
            return (tensor.channels * height * width,)
        return (tensor.channels, height, width)


class Run(NamedTuple):
    """``repeat`` equal blocks in a row, alike in layers and sizes."""

    unit: Unit
    repeat: int
    site: Site


class PlacedBlock(NamedTuple):
    """One block in its place, by its name in the network; ``aside`` as of its :class:`Unit`."""

    name: str
    site: Site
    aside: bool = False


class _TooSmallError(Exception):
    """A strided window has nothing left to reduce."""


@lru_cache(maxsize=1 << 15)
def structure(block: Block, in_channels: int) -> Structure:
    """The layers of ``block`` for an input of so many channels."""
    tape = Tape()
    output = block.record(tape, Tensor(INPUT, in_channels, INPUT_EXTENT))
    return Structure(tuple(tape.layers), tuple(tape.windows), output)


def split_padding(padding: Padding, size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after ``size`` pixels; either way ``ceil(size / stride)`` windows fit."""
    if padding == "torch":
        return kernel // 2, kernel // 2
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _slide(window: Window, axis: int, size: int) -> int:
    """How many windows fit ``size`` pixels of one axis."""
    kernel, stride = window.kernel[axis], window.stride[axis]
    if window.padded:
        steps = (size - 1) // stride
    else:
        room = size + 2 * window.pad - kernel
        steps = -(-room // stride) if window.ceil else room // stride
    if size < stride or steps < 0:
        raise _TooSmallError
    return steps + 1


def _sizes(windows: tuple[Window, ...], size: Size) -> tuple[Size, ...]:
    sizes = [size, (1, 1)]
    for window in windows:
        height, width = sizes[window.source]
        sizes.append((_slide(window, 0, height), _slide(window, 1, width)))
    return tuple(sizes)


@dataclass(frozen=True)
class Network:
    """One member of a family at one scale.

    ``name`` is the zoo's name, ``family`` the table it comes from. The input is
    ``(in_channels, resolution, resolution)``, the output ``(num_classes,)`` logits.
    Raises :class:`InputError` for a resolution below what the strides allow.
    """

    name: str
    family: str
    scale: Scale
    units: tuple[Unit, ...]
    convention: Convention = TORCH

    def __post_init__(self) -> None:
        try:
            _ = self.runs
        except _TooSmallError:
            raise InputError(
                f"{self.name} cannot be built at resolution {self.scale.resolution}, "
                f"its smallest is {(smallest := self._smallest_resolution())}",
                hint=f"--resolution {smallest} or more",
            ) from None

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the image."""
        return (self.scale.in_channels, self.scale.resolution, self.scale.resolution)

    @property
    def padding(self) -> Padding:
        """How convolutions pad: as torch's weights or as TensorFlow's expect it."""
        return self.convention.padding

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """The blocks in order, equal neighbours as one; without what is for training alone."""
        return tuple(run for run in self._all_runs if not run.unit.aside)

    @cached_property
    def _all_runs(self) -> tuple[Run, ...]:
        return tuple(_runs(self.units, self.input_shape, self.convention))

    def blocks(self, *, training: bool = False) -> Iterator[PlacedBlock]:
        """Every block in order, with ``training`` also those that only training has."""
        numbers: Counter[str] = Counter()
        for run in self._all_runs if training else self.runs:
            for _ in range(run.repeat):
                name = run.unit.name
                if name.endswith("."):
                    numbers[name] += 1
                    name = f"{name}{numbers[name] - 1}"
                yield PlacedBlock(name, run.site, run.unit.aside)

    def with_convention(self, convention: Convention) -> Network:
        """The same network with the padding and epsilon that some weights assume."""
        return replace(self, convention=convention)

    def _smallest_resolution(self) -> int:
        resolution = self.scale.resolution
        while True:
            resolution += 1
            try:
                for _ in _runs(self.units, (self.scale.in_channels, resolution, resolution), self.convention):
                    pass
            except _TooSmallError:
                continue
            return resolution


def _runs(units: tuple[Unit, ...], shape: tuple[int, int, int], convention: Convention) -> Iterator[Run]:
    channels, size = shape[0], shape[1:]
    for unit in units:
        if unit.aside:
            yield from _aside(unit, channels, size, convention)
            continue
        left = unit.repeat
        while left:
            known = structure(unit.block, channels)
            site = Site(known, _sizes(known.windows, size), convention)
            after = (known.output.channels, site.sizes[known.output.extent])
            count = left if after == (channels, size) else 1
            yield Run(unit, count, site)
            channels, size = after
            left -= count


def _aside(unit: Unit, channels: int, size: Size, convention: Convention) -> Iterator[Run]:
    known = structure(unit.block, channels)
    with suppress(_TooSmallError):
        yield Run(unit, unit.repeat, Site(known, _sizes(known.windows, size), convention))
