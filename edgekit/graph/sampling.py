"""Where each output element of a ``Resize`` reads its input: one source coordinate an element of an axis.

With static shapes the coordinate transformations of the ONNX specification are lists of numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit.errors import UnsupportedError
from edgekit.graph.values import array_of, required, shape_of

__all__ = ["FloatArray", "IntArray", "Side", "nearest", "source_coordinates"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Side:
    """One axis of a ``Resize``: sizes in elements, and ``scale`` = output / input as the node states it."""

    size: int
    made: int
    scale: float


def _half_pixel(x: FloatArray, side: Side) -> FloatArray:
    return (x + 0.5) / side.scale - 0.5


def _pytorch_half_pixel(x: FloatArray, side: Side) -> FloatArray:
    return _half_pixel(x, side) if side.made > 1 else np.full_like(x, -0.5)


def _half_pixel_symmetric(x: FloatArray, side: Side) -> FloatArray:
    adjustment = side.made / (side.scale * side.size)
    return side.size / 2 * (1 - adjustment) + _half_pixel(x, side)


def _align_corners(x: FloatArray, side: Side) -> FloatArray:
    width = side.scale * side.size
    return x * ((side.size - 1) / (width - 1)) if side.made > 1 and width != 1 else np.zeros_like(x)


_TRANSFORMATIONS: dict[str, Callable[[FloatArray, Side], FloatArray]] = {
    "align_corners": _align_corners,
    "asymmetric": lambda x, side: x / side.scale,
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _half_pixel_symmetric,
    "pytorch_half_pixel": _pytorch_half_pixel,
    "tf_half_pixel_for_nn": lambda x, side: (x + 0.5) / side.scale,
}


def source_coordinates(node: ir.Node) -> list[FloatArray]:
    """Source coordinates along each axis, in input elements; they may lie outside the input.

    Raises :class:`UnsupportedError` naming the node for a transformation that crops.
    """
    mode = node.attributes.get_string("coordinate_transformation_mode", "half_pixel") or ""
    if mode not in _TRANSFORMATIONS:
        raise UnsupportedError(
            f"node {node.name!r} (Resize): coordinates {mode} are not supported",
            hint=f"known: {', '.join(sorted(_TRANSFORMATIONS))}",
        )
    transform = _TRANSFORMATIONS[mode]
    return [
        transform(np.arange(side.made, dtype=np.float64), side)
        if side.made != side.size or side.scale != 1
        else np.arange(side.size, dtype=np.float64)
        for side in _sides(node)
    ]


def _sides(node: ir.Node) -> list[Side]:
    shape, made = shape_of(required(node, 0)), shape_of(node.outputs[0])
    scales = [new / old if old else 1.0 for old, new in zip(shape, made, strict=True)]
    given = array_of(node.inputs[2]) if len(node.inputs) > 2 else None
    if given is not None and given.size:
        axes = node.attributes.get_ints("axes", range(len(shape)))
        for axis, scale in zip(axes, given.reshape(-1), strict=True):
            scales[axis] = float(scale)
    return [Side(*item) for item in zip(shape, made, scales, strict=True)]


_ROUNDINGS: dict[str, Callable[[FloatArray], FloatArray]] = {
    "ceil": np.ceil,
    "floor": np.floor,
    "round_prefer_ceil": lambda x: np.floor(x + 0.5),
    "round_prefer_floor": lambda x: np.ceil(x - 0.5),
}


def nearest(node: ir.Node, coordinates: FloatArray, size: int) -> IntArray:
    """Indices of the elements that a nearest-neighbour ``Resize`` takes along an axis of ``size``."""
    rounding = node.attributes.get_string("nearest_mode", "round_prefer_floor") or ""
    # What is a whole or half number but for float64's last digits counts as one.
    rounded = _ROUNDINGS[rounding](np.round(coordinates, 9))
    return np.clip(rounded, 0, size - 1).astype(np.int64)
