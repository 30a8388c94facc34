"""What small kernels in a row save against one large kernel that sees as much.

n convolutions with k×k kernels and stride 1 see n·(k − 1) + 1 pixels a side. Between C channels each they
have n·k²·C² weights, one kernel of that size has (n·(k − 1) + 1)²·C² (VGG, arXiv 1409.1556, section 2.3).
Each weight is multiplied once for every output pixel, so that multiply-adds compare alike.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.models.layers import Activation, BatchNorm, Conv
from edgekit.models.network import Network, PlacedBlock
from edgekit.receptive_field import PIXEL

__all__ = ["EXAMPLES", "Stack", "stacks"]


@dataclass(frozen=True)
class Stack:
    """``count`` convolutions in a row, all with ``kernel`` × ``kernel`` and ``channels`` in and out.

    They make ``height`` × ``width`` pixels. ``name`` is that of the first.
    """

    name: str
    count: int
    kernel: int
    channels: int
    height: int = 1
    width: int = 1

    @property
    def seen(self) -> int:
        """Pixels a side that an output pixel sees."""
        field = PIXEL
        for _ in range(self.count):
            field = field.through((self.kernel, self.kernel))
        return field.size[0]

    @property
    def macs(self) -> int:
        return self.height * self.width * self.count * self.kernel**2 * self.channels**2

    @property
    def single_macs(self) -> int:
        """Of one convolution that sees as much."""
        return self.height * self.width * self.seen**2 * self.channels**2

    @property
    def ratio(self) -> float:
        return self.macs / self.single_macs


EXAMPLES = (Stack("two", 2, kernel=3, channels=1), Stack("three", 3, kernel=3, channels=1))
"""Two 3×3 see 5×5 with 18 weights instead of 25, three see 7×7 with 27 instead of 49."""


def stacks(network: Network) -> tuple[Stack, ...]:
    """Every row of equal convolutions in ``network`` that stand in blocks of their own, as in VGG."""
    found: list[Stack] = []
    open_stack: Stack | None = None
    for block in network.blocks():
        link = _link(block)
        if link is not None and open_stack is not None and _continues(open_stack, link):
            open_stack = Stack(
                open_stack.name,
                open_stack.count + 1,
                link.kernel,
                link.channels,
                link.height,
                link.width,
            )
            continue
        found += [open_stack] if open_stack is not None and open_stack.count > 1 else []
        open_stack = link
    return tuple(found + ([open_stack] if open_stack is not None and open_stack.count > 1 else []))


def _continues(stack: Stack, link: Stack) -> bool:
    return (stack.kernel, stack.channels, stack.height) == (link.kernel, link.channels, link.height)


def _link(block: PlacedBlock) -> Stack | None:
    """The block as a stack of one, if it is nothing but a square convolution that keeps its channels."""
    first, *others = block.site.structure.layers
    if not isinstance(first, Conv) or not all(isinstance(other, BatchNorm | Activation) for other in others):
        return None
    (height, kernel), (channels, rows, columns) = first.kernel, block.site.shape(first.out)
    is_plain = height == kernel > 1 and first.stride == (1, 1) and first.groups == 1
    keeps = first.inputs[0].channels == channels and block.site.sizes[first.inputs[0].extent] == (
        rows,
        columns,
    )
    return (
        Stack(f"{block.name}.{first.out.name}", 1, kernel, channels, rows, columns)
        if is_plain and keeps
        else None
    )
