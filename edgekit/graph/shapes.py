"""Shape rules: from a node's inputs and attributes to the shapes of its outputs.

A rule reads static input shapes, attributes and constant inputs, and returns one tuple for each
output. It raises :class:`~edgekit.errors.UnsupportedError` when the operator cannot be applied to
what it is given (an image smaller than a kernel, say). Layouts are ONNX's: NCHW, weights OIHW.
Rules follow the ONNX operator specification, opset 18.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import onnx_ir as ir

from edgekit.errors import UnsupportedError
from edgekit.graph.values import Shape, array_of, required, shape_of

__all__ = [
    "OPSET",
    "ShapeRule",
    "along_axis",
    "arg_reduce",
    "broadcast",
    "concat",
    "conv",
    "conv_transpose",
    "depth_to_space",
    "expand",
    "flatten",
    "gather",
    "gemm",
    "global_pool",
    "like_input",
    "matmul",
    "pad",
    "pool",
    "reduce",
    "reshape",
    "resize",
    "slice_",
    "space_to_depth",
    "split",
    "squeeze",
    "tile",
    "transpose",
    "unsqueeze",
]

OPSET = 18

ShapeRule: TypeAlias = Callable[[ir.Node], tuple[Shape, ...]]


def like_input(node: ir.Node) -> tuple[Shape, ...]:
    """Output shaped as the first input: activations, softmax, quantize."""
    return (shape_of(required(node, 0)),)


def along_axis(node: ir.Node) -> tuple[Shape, ...]:
    """Output shaped as the input, which has an axis ``axis``: softmax."""
    data, axis = shape_of(required(node, 0)), node.attributes.get_int("axis", -1)
    if not -len(data) <= axis < len(data):
        raise _unfit(node, f"axis {axis} does not fit input {list(data)}")
    return (data,)


def broadcast(node: ir.Node) -> tuple[Shape, ...]:
    """NumPy broadcasting of all inputs."""
    shapes = [shape_of(value) for value in node.inputs]
    try:
        return (tuple(int(dim) for dim in np.broadcast_shapes(*shapes)),)
    except ValueError as exc:
        raise _unfit(node, f"cannot broadcast shapes {shapes}") from exc


def conv(node: ir.Node) -> tuple[Shape, ...]:
    """Explicitly padded convolution: [N, C, *spatial] → [N, O, *spatial']."""
    data, weight = shape_of(required(node, 0)), shape_of(required(node, 1))
    group = node.attributes.get_int("group", 1)
    if len(data) != len(weight) or data[1] != weight[1] * group:
        raise _unfit(node, f"input {list(data)} does not fit weight {list(weight)} in {group} groups")
    return ((data[0], weight[0], *_windows(node, data[2:], weight[2:])),)


def conv_transpose(node: ir.Node) -> tuple[Shape, ...]:
    """Transposed convolution with explicit pads; weight is [C, O/group, kH, kW]."""
    data, weight = shape_of(required(node, 0)), shape_of(required(node, 1))
    rank = len(data) - 2
    strides = _ints(node, "strides", [1] * rank)
    dilations = _ints(node, "dilations", [1] * rank)
    pads = _ints(node, "pads", [0] * 2 * rank)
    extra = _ints(node, "output_padding", [0] * rank)
    given = _ints(node, "output_shape", [])
    if given:
        return ((data[0], weight[1] * node.attributes.get_int("group", 1), *given[-rank:]),)
    if node.attributes.get_string("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER"):
        same = (size * stride for size, stride in zip(data[2:], strides, strict=True))
        return ((data[0], weight[1] * node.attributes.get_int("group", 1), *same),)
    spatial = tuple(
        strides[i] * (data[2 + i] - 1)
        + extra[i]
        + (weight[2 + i] - 1) * dilations[i]
        + 1
        - pads[i]
        - pads[rank + i]
        for i in range(rank)
    )
    return ((data[0], weight[1] * node.attributes.get_int("group", 1), *spatial),)


def pool(node: ir.Node) -> tuple[Shape, ...]:
    """Max or average pooling over windows."""
    data = shape_of(required(node, 0))
    kernel = node.attributes.get_ints("kernel_shape")
    if kernel is None or len(kernel) != len(data) - 2:
        raise _unfit(node, f"kernel_shape {kernel} does not fit input {list(data)}")
    return ((*data[:2], *_windows(node, data[2:], kernel)),)


def global_pool(node: ir.Node) -> tuple[Shape, ...]:
    """Pooling over the whole image: [N, C, *spatial] → [N, C, 1, …]."""
    data = shape_of(required(node, 0))
    return ((*data[:2], *(1 for _ in data[2:])),)


def gemm(node: ir.Node) -> tuple[Shape, ...]:
    """Matrix product of two matrices with optional transpositions."""
    left, right = shape_of(required(node, 0)), shape_of(required(node, 1))
    if len(left) != 2 or len(right) != 2:
        raise _unfit(node, f"expected two matrices, got {list(left)} and {list(right)}")
    rows, inner = left[::-1] if node.attributes.get_int("transA", 0) else left
    depth, columns = right[::-1] if node.attributes.get_int("transB", 0) else right
    if inner != depth:
        raise _unfit(node, f"inner dimensions {inner} and {depth} differ")
    return ((rows, columns),)


def matmul(node: ir.Node) -> tuple[Shape, ...]:
    """NumPy's matmul: a vector is a row on the left, a column on the right, and gone afterwards."""
    left, right = shape_of(required(node, 0)), shape_of(required(node, 1))
    rows, columns = left[-2:-1], right[-1:] if len(right) > 1 else ()
    depth = right[-2] if len(right) > 1 else right[0]
    if left[-1] != depth:
        raise _unfit(node, f"inner dimensions {left[-1]} and {depth} differ")
    batch = np.broadcast_shapes(left[:-2], right[:-2])
    return ((*(int(dim) for dim in batch), *rows, *columns),)


def concat(node: ir.Node) -> tuple[Shape, ...]:
    """Concatenation along ``axis``."""
    shapes = [list(shape_of(value)) for value in node.inputs]
    axis = node.attributes.get_int("axis", 1) % len(shapes[0])
    joined = sum(shape[axis] for shape in shapes)
    if any(s[:axis] + s[axis + 1 :] != shapes[0][:axis] + shapes[0][axis + 1 :] for s in shapes):
        raise _unfit(node, f"shapes {shapes} differ outside axis {axis}")
    return ((*shapes[0][:axis], joined, *shapes[0][axis + 1 :]),)


def flatten(node: ir.Node) -> tuple[Shape, ...]:
    """Two dimensions, split at ``axis``."""
    data = shape_of(required(node, 0))
    axis = node.attributes.get_int("axis", 1)
    axis = axis + len(data) if axis < 0 else axis
    return ((math.prod(data[:axis]), math.prod(data[axis:])),)


def reshape(node: ir.Node) -> tuple[Shape, ...]:
    """Constant target shape; 0 copies a dimension, -1 takes what is left."""
    data, target = shape_of(required(node, 0)), _constant_ints(node, 1)
    keep_zero = node.attributes.get_int("allowzero", 0)
    try:
        dims = [data[i] if dim == 0 and not keep_zero else dim for i, dim in enumerate(target)]
    except IndexError as exc:
        raise _unfit(node, f"cannot reshape {list(data)} to {target}") from exc
    known = math.prod(dim for dim in dims if dim != -1)
    if -1 in dims and known:
        dims[dims.index(-1)] = math.prod(data) // known
    if math.prod(dims) != math.prod(data) or min(dims, default=0) < 0:
        raise _unfit(node, f"cannot reshape {list(data)} to {target}")
    return (tuple(dims),)


def transpose(node: ir.Node) -> tuple[Shape, ...]:
    """Permutation of the dimensions, reversed by default."""
    data = shape_of(required(node, 0))
    perm = _ints(node, "perm", list(range(len(data)))[::-1])
    if sorted(perm) != list(range(len(data))):
        raise _unfit(node, f"perm {perm} does not fit input {list(data)}")
    return (tuple(data[i] for i in perm),)


def pad(node: ir.Node) -> tuple[Shape, ...]:
    """Constant pads, all begins before all ends, optionally for some axes only."""
    data, pads = list(shape_of(required(node, 0))), _constant_ints(node, 1)
    axes = _optional_ints(node, 3, list(range(len(data))))
    if len(pads) != 2 * len(axes):
        raise _unfit(node, f"{len(pads)} pads do not fit {len(axes)} axes")
    for i, axis in enumerate(axes):
        data[axis] += pads[i] + pads[len(axes) + i]
    return (tuple(data),)


def reduce(node: ir.Node) -> tuple[Shape, ...]:
    """Reduction over constant axes, over all of them when none are given."""
    data = shape_of(required(node, 0))
    given = _optional_ints(node, 1, [])
    noop = node.attributes.get_int("noop_with_empty_axes", 0)
    if noop and not given:
        return (data,)
    axes = {axis % len(data) for axis in given} if given else set(range(len(data)))
    keep = node.attributes.get_int("keepdims", 1)
    return (tuple(1 if i in axes else dim for i, dim in enumerate(data) if keep or i not in axes),)


def resize(node: ir.Node) -> tuple[Shape, ...]:
    """Constant sizes or scales, for every axis or for those in the attribute ``axes``."""
    data = list(shape_of(required(node, 0)))
    axes = [axis % len(data) for axis in _ints(node, "axes", list(range(len(data))))]
    if node.attributes.get_string("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise _unfit(node, "keep_aspect_ratio_policy other than stretch")
    scales = array_of(node.inputs[2]) if len(node.inputs) > 2 else None
    if scales is not None and scales.size:
        sizes = [math.floor(data[axis] * float(scale)) for axis, scale in zip(axes, scales, strict=True)]
    else:
        sizes = _constant_ints(node, 3)
    for axis, size in zip(axes, sizes, strict=True):
        data[axis] = size
    return (tuple(data),)


def squeeze(node: ir.Node) -> tuple[Shape, ...]:
    """Without the dimensions of size 1 at constant axes, or without all of them."""
    data = shape_of(required(node, 0))
    ones = [axis for axis, dim in enumerate(data) if dim == 1]
    axes = {axis % len(data) for axis in _optional_ints(node, 1, ones)}
    if not axes <= set(ones):
        raise _unfit(node, f"cannot squeeze axes {sorted(axes)} of {list(data)}")
    return (tuple(dim for axis, dim in enumerate(data) if axis not in axes),)


def unsqueeze(node: ir.Node) -> tuple[Shape, ...]:
    """With dimensions of size 1 at constant axes of the output."""
    data, axes = shape_of(required(node, 0)), _constant_ints(node, 1)
    rank = len(data) + len(axes)
    ones = {axis % rank for axis in axes}
    if len(ones) != len(axes):
        raise _unfit(node, f"axes {axes} repeat")
    rest = iter(data)
    return (tuple(1 if axis in ones else next(rest) for axis in range(rank)),)


def expand(node: ir.Node) -> tuple[Shape, ...]:
    """Broadcast with a constant shape."""
    data, target = shape_of(required(node, 0)), _constant_ints(node, 1)
    try:
        return (tuple(int(dim) for dim in np.broadcast_shapes(data, tuple(target))),)
    except ValueError as exc:
        raise _unfit(node, f"cannot expand {list(data)} to {target}") from exc


def tile(node: ir.Node) -> tuple[Shape, ...]:
    """Repetition, a constant number of times along each axis."""
    data, repeats = shape_of(required(node, 0)), _constant_ints(node, 1)
    if len(repeats) != len(data):
        raise _unfit(node, f"{len(repeats)} repeats do not fit input {list(data)}")
    return (tuple(size * count for size, count in zip(data, repeats, strict=True)),)


def slice_(node: ir.Node) -> tuple[Shape, ...]:
    """Constant starts, ends, axes and steps, with Python's meaning of out of range."""
    data = list(shape_of(required(node, 0)))
    starts, ends = _constant_ints(node, 1), _constant_ints(node, 2)
    axes = _optional_ints(node, 3, list(range(len(starts))))
    steps = _optional_ints(node, 4, [1] * len(starts))
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        # The most negative end means "to the front" when the step is negative.
        stop = None if step < 0 and end < -data[axis] else end
        data[axis] = len(range(*slice(start, stop, step).indices(data[axis])))
    return (tuple(data),)


def split(node: ir.Node) -> tuple[Shape, ...]:
    """Constant lengths along ``axis``, or equal ones of which the last may be shorter."""
    data = list(shape_of(required(node, 0)))
    axis = node.attributes.get_int("axis", 0) % len(data)
    count = len(node.outputs)
    step = -(-data[axis] // count)
    equal = [min(step, data[axis] - i * step) for i in range(count)]
    lengths = _optional_ints(node, 1, equal)
    if sum(lengths) != data[axis] or len(lengths) != count or min(lengths) < 0:
        raise _unfit(node, f"cannot split {data[axis]} into {lengths} as {count} outputs")
    return tuple((*data[:axis], length, *data[axis + 1 :]) for length in lengths)


def gather(node: ir.Node) -> tuple[Shape, ...]:
    """Elements along ``axis`` by index."""
    data, indices = shape_of(required(node, 0)), shape_of(required(node, 1))
    axis = node.attributes.get_int("axis", 0) % len(data)
    return ((*data[:axis], *indices, *data[axis + 1 :]),)


def depth_to_space(node: ir.Node) -> tuple[Shape, ...]:
    """Blocks of channels become blocks of pixels."""
    batch, channels, height, width = shape_of(required(node, 0))
    block = node.attributes.get_int("blocksize", 1)
    if channels % (block * block):
        raise _unfit(node, f"{channels} channels do not divide into blocks of {block} × {block}")
    return ((batch, channels // (block * block), height * block, width * block),)


def space_to_depth(node: ir.Node) -> tuple[Shape, ...]:
    """Blocks of pixels become blocks of channels."""
    batch, channels, height, width = shape_of(required(node, 0))
    block = node.attributes.get_int("blocksize", 1)
    if height % block or width % block:
        raise _unfit(node, f"{height} × {width} pixels do not divide into blocks of {block} × {block}")
    return ((batch, channels * block * block, height // block, width // block),)


def arg_reduce(node: ir.Node) -> tuple[Shape, ...]:
    """Index of an extreme along ``axis``."""
    data = list(shape_of(required(node, 0)))
    axis = node.attributes.get_int("axis", 0) % len(data)
    kept = [1] if node.attributes.get_int("keepdims", 1) else []
    return ((*data[:axis], *kept, *data[axis + 1 :]),)


def _windows(node: ir.Node, spatial: Sequence[int], kernel: Sequence[int]) -> tuple[int, ...]:
    """Number of windows along each spatial axis; ``auto_pad`` and ``ceil_mode`` are respected."""
    rank = len(spatial)
    strides = _ints(node, "strides", [1] * rank)
    dilations = _ints(node, "dilations", [1] * rank)
    pads = _ints(node, "pads", [0] * 2 * rank)
    if not len(strides) == len(dilations) == len(pads) // 2 == len(kernel) == rank:
        raise _unfit(node, f"strides {strides}, dilations {dilations} or pads {pads} do not fit {rank} axes")
    if min((*strides, *dilations, *kernel), default=1) < 1 or min(pads, default=0) < 0:
        raise _unfit(node, f"strides {strides}, dilations {dilations} or pads {pads} are out of range")
    auto_pad = node.attributes.get_string("auto_pad", "NOTSET")
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        return tuple(-(-size // stride) for size, stride in zip(spatial, strides, strict=True))
    if auto_pad == "VALID":
        pads = [0] * 2 * rank
    ceil_mode = node.attributes.get_int("ceil_mode", 0)
    counts = []
    for i, size in enumerate(spatial):
        room = size + pads[i] + pads[rank + i] - (kernel[i] - 1) * dilations[i] - 1
        if room < 0:
            raise _unfit(node, f"input {list(spatial)} is smaller than kernel {list(kernel)}")
        count = room // strides[i] + 1
        if ceil_mode and room % strides[i] and count * strides[i] < size + pads[i]:
            # A window that would start in the end padding does not exist.
            count += 1
        counts.append(count)
    return tuple(counts)


def _optional_ints(node: ir.Node, index: int, default: list[int]) -> list[int]:
    given = index < len(node.inputs) and node.inputs[index] is not None
    return _constant_ints(node, index) if given else default


def _ints(node: ir.Node, name: str, default: list[int]) -> list[int]:
    return list(node.attributes.get_ints(name, default))


def _constant_ints(node: ir.Node, index: int) -> list[int]:
    array = array_of(required(node, index))
    if array is not None and array.dtype.kind not in "iu":
        raise _unfit(node, f"input {index} is {array.dtype}, expected integers")
    if array is None:
        raise UnsupportedError(
            f"node {node.name!r} ({node.op_type}): input {index} must be a constant",
            hint="shapes must not depend on the image; export the model with a static input shape",
        )
    return [int(item) for item in array.reshape(-1)]


def _unfit(node: ir.Node, reason: str) -> UnsupportedError:
    return UnsupportedError(f"node {node.name!r} ({node.op_type}): {reason}")
