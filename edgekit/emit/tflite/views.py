"""Which axes of a reshaped value are which axes of the value before: reshaping without moving elements.

Both shapes are cut into the smallest groups of neighbouring axes that hold the same elements. A tensor can
be reshaped as it is stored when the axes of each group stand together and in their order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.emit.tflite.layout import Layout, default_layout

__all__ = ["View", "view"]

_Group = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class View:
    """How to reshape: the layout that the source must have, and the one that the result then has."""

    source: Layout
    result: Layout


def view(shape_in: Sequence[int], shape_out: Sequence[int], held: Layout) -> View:
    """The reshape that leaves the groups in the order in which ``held`` stores them.

    ``source`` equals ``held``, up to axes of size 1, when no element has to move.
    """
    groups = _groups(shape_in, shape_out)
    order = _order(groups, shape_in, held)
    source = [axis for group in order for axis in groups[group][0]]
    result = [axis for group in order for axis in groups[group][1]]
    return View(
        _with_ones(source, shape_in, held),
        _with_ones(result, shape_out, default_layout(len(shape_out))),
    )


def _groups(shape_in: Sequence[int], shape_out: Sequence[int]) -> list[_Group]:
    """Axes other than those of size 1, in groups of equal products."""
    before = [axis for axis, size in enumerate(shape_in) if size != 1]
    after = [axis for axis, size in enumerate(shape_out) if size != 1]
    if 0 in shape_in:
        return [(tuple(before), tuple(after))]
    groups: list[_Group] = []
    while before:
        left, right = [before.pop(0)], [after.pop(0)]
        while (sizes := _products(left, right, shape_in, shape_out))[0] != sizes[1]:
            if sizes[0] < sizes[1]:
                left.append(before.pop(0))
            else:
                right.append(after.pop(0))
        groups.append((tuple(left), tuple(right)))
    return groups


def _products(
    left: Sequence[int], right: Sequence[int], shape_in: Sequence[int], shape_out: Sequence[int]
) -> tuple[int, int]:
    return math.prod(shape_in[axis] for axis in left), math.prod(shape_out[axis] for axis in right)


def _order(groups: Sequence[_Group], shape_in: Sequence[int], held: Layout) -> list[int]:
    """Groups by the place of their last axis: what is innermost, and moves worst, stays innermost."""
    group_of = {axis: i for i, (axes, _) in enumerate(groups) for axis in axes}
    stored = [group_of[axis] for axis in held if shape_in[axis] != 1]
    return list(dict.fromkeys(reversed(stored)))[::-1]


def _with_ones(axes: Sequence[int], shape: Sequence[int], like: Layout) -> Layout:
    """A layout of all axes: those of size 1 where ``like`` has them, as far as the others let it."""
    rest = iter(axes)
    large = set(axes)
    if [axis for axis in like if axis in large] == list(axes):
        return like
    plain = tuple(range(len(shape)))
    if [axis for axis in plain if axis in large] == list(axes):
        return plain
    return tuple(next(rest) if axis in large else axis for axis in like)
