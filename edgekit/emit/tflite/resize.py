"""``Resize`` of two axes: which of TFLite's ways to sample is exactly the graph's, if any.

ONNX knows six coordinate transformations and four ways to round, TFLite two flags. With static shapes both
are lists of source coordinates. Where the lists agree, the operator does; nearest sampling that agrees with
none is a gather of constant rows and columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit.emit.tflite.layout import Layout, default_layout
from edgekit.emit.tflite.lowering import Lowering
from edgekit.emit.tflite.program import Option
from edgekit.errors import UnsupportedError
from edgekit.graph.sampling import FloatArray, nearest, source_coordinates
from edgekit.graph.values import shape_of

__all__ = ["lower_resize"]

_TOLERANCE = 1e-5  # of a pixel

# Half-pixel centres, aligned corners: what the operators' options offer.
_FLAGS = ((True, False), (False, False), (False, True))


def lower_resize(lowering: Lowering, node: ir.Node) -> None:
    """RESIZE_BILINEAR, RESIZE_NEAREST_NEIGHBOR, or GATHER for other nearest sampling.

    Raises UnsupportedError, naming mode and coordinates, for what none of them samples exactly, and for an
    image that is resized to nothing.
    """
    mode = node.attributes.get_string("mode", "nearest")
    made = shape_of(node.outputs[0])
    if 0 in made:
        raise UnsupportedError(
            f"node {node.name!r} (Resize) makes {list(made)}: nothing is left of the image",
            hint="give larger sizes or scales, or a larger input",
        )
    if mode == "nearest":
        _lower_nearest(lowering, node)
    elif mode == "linear":
        _lower_bilinear(lowering, node)
    else:
        raise _refused(node, f"mode {mode} has no TFLite operator")


def _lower_nearest(lowering: Lowering, node: ir.Node) -> None:
    sizes = shape_of(node.inputs[0])
    wanted = [nearest(node, along, size) for along, size in zip(source_coordinates(node), sizes, strict=True)]
    axes = _resized(node, wanted)
    flags = _flags(node, axes, lambda axis, made, flag: _nearest_in_file(sizes[axis], made, flag), wanted)
    if flags is not None and len(sizes) == 4:
        _resize(lowering, node, "RESIZE_NEAREST_NEIGHBOR", axes, flags)
        return
    held = lowering.stored(node.inputs[0])
    source = held.index
    for axis in axes:
        position = held.layout.index(axis)
        shape = list(lowering.program.tensors[source].shape)
        shape[position] = len(wanted[axis])
        is_last = axis == axes[-1]
        target = (
            lowering.result(node.outputs[0], inherit=source, layout=held.layout)
            if is_last
            else lowering.intermediate(f"{node.name}.rows", source, tuple(shape))
        )
        indices = lowering.constant(f"{node.name}.indices", wanted[axis].astype(np.int32))
        lowering.program.add_operator("GATHER", [source, indices], [target], axis=position)
        source = target
    lowering.bind(node.outputs[0], source, held.layout)


def _lower_bilinear(lowering: Lowering, node: ir.Node) -> None:
    sizes, made = shape_of(node.inputs[0]), shape_of(node.outputs[0])
    attributes = node.attributes
    if attributes.get_int("exclude_outside", 0):
        raise _refused(node, "exclude_outside has no TFLite operator")
    shrinks = any(new < old for old, new in zip(sizes, made, strict=True))
    if attributes.get_int("antialias", 0) and shrinks:
        raise _refused(node, "antialias has no TFLite operator")
    wanted = [
        np.clip(along, 0, size - 1) for along, size in zip(source_coordinates(node), sizes, strict=True)
    ]
    axes = _resized(node, wanted)
    flags = _flags(node, axes, lambda axis, new, flag: _linear_in_file(sizes[axis], new, flag), wanted)
    if flags is None or len(sizes) != 4:
        coordinates = attributes.get_string("coordinate_transformation_mode", "half_pixel")
        raise _refused(
            node, f"linear sampling of {list(sizes)} to {list(made)} at {coordinates} has no TFLite operator"
        )
    _resize(lowering, node, "RESIZE_BILINEAR", axes, flags)


def _resized(node: ir.Node, coordinates: Sequence[npt.NDArray[np.generic]]) -> list[int]:
    """Axes that are not copied as they are."""
    sizes = shape_of(node.inputs[0])
    axes = [
        axis
        for axis, (along, size) in enumerate(zip(coordinates, sizes, strict=True))
        if len(along) != size or not np.array_equal(along, np.arange(size))
    ]
    return axes or [2, 3][: len(sizes)]


def _flags(
    node: ir.Node,
    axes: Sequence[int],
    in_file: Callable[[int, int, tuple[bool, bool]], FloatArray],
    wanted: Sequence[npt.NDArray[np.generic]],  # indices or coordinates
) -> tuple[bool, bool] | None:
    """The options by which TFLite samples at the wanted places of all axes."""
    if len(axes) > 2:
        raise _refused(node, f"TFLite resizes two axes, not {len(axes)}")
    for flags in _FLAGS:
        pairs = [(in_file(axis, len(wanted[axis]), flags), wanted[axis]) for axis in axes]
        if all(np.allclose(found, asked, rtol=0, atol=_TOLERANCE) for found, asked in pairs):
            return flags
    return None


def _nearest_in_file(size: int, made: int, flags: tuple[bool, bool]) -> FloatArray:
    """Indices that RESIZE_NEAREST_NEIGHBOR takes, in the float32 of its kernel."""
    half_pixel, align = flags
    scale = np.float32(size - 1) / np.float32(made - 1) if align and made > 1 else np.float32(size / made)
    places = (np.arange(made, dtype=np.float32) + np.float32(0.5 if half_pixel else 0)) * scale
    rounded = np.floor(places + 0.5) if align else np.floor(places)
    return np.asarray(np.clip(rounded, 0, size - 1), np.float64)


def _linear_in_file(size: int, made: int, flags: tuple[bool, bool]) -> FloatArray:
    """Coordinates between which RESIZE_BILINEAR interpolates."""
    half_pixel, align = flags
    scale = (size - 1) / (made - 1) if align and made > 1 else size / made
    places = np.arange(made, dtype=np.float64)
    places = (places + 0.5) * scale - 0.5 if half_pixel else places * scale
    return np.asarray(np.clip(places, 0, size - 1))


def _resize(
    lowering: Lowering, node: ir.Node, code: str, axes: Sequence[int], flags: tuple[bool, bool]
) -> None:
    layout = _layout(axes)
    source = lowering.operand(node.inputs[0], layout)
    made = shape_of(node.outputs[0])
    target = lowering.result(node.outputs[0], inherit=source, layout=layout)
    size = lowering.integers(made[layout[1]], made[layout[2]])
    options: dict[str, Option] = {"halfPixelCenters": flags[0], "alignCorners": flags[1]}
    lowering.program.add_operator(code, [source, size], [target], **options)


def _layout(axes: Sequence[int]) -> Layout:
    """A layout whose middle axes are the resized ones; NHWC for images."""
    if set(axes) <= {2, 3}:
        return default_layout(4)
    others = [axis for axis in range(4) if axis not in axes]
    middle = [*axes, *others[1:-1]]
    return (others[0], *middle[:2], others[-1])


def _refused(node: ir.Node, reason: str) -> UnsupportedError:
    return UnsupportedError(
        f"node {node.name!r} (Resize): {reason}",
        hint="use nearest, or linear with half_pixel, align_corners or asymmetric coordinates",
    )
