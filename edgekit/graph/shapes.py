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
import onnx
import onnx.defs
import onnx.shape_inference
import onnx_ir as ir

from edgekit.errors import GraphError, UnsupportedError
from edgekit.graph.values import Shape, array_of, required, shape_of

__all__ = [
    "OPSET",
    "ShapeRule",
    "broadcast",
    "by_onnx",
    "concat",
    "conv",
    "conv_transpose",
    "flatten",
    "gemm",
    "global_pool",
    "infer_by_onnx",
    "like_input",
    "matmul",
    "pad",
    "pool",
    "reduce",
    "reshape",
    "resize",
    "transpose",
]

OPSET = 18

ShapeRule: TypeAlias = Callable[[ir.Node], tuple[Shape, ...]]

# Larger constants than a shape or a list of axes never decide a shape.
_MAX_SHAPE_ELEMENTS = 1024


def like_input(node: ir.Node) -> tuple[Shape, ...]:
    """Output shaped as the first input: activations, softmax, quantize."""
    return (shape_of(required(node, 0)),)


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
    shape = (*data[:2], *_windows(node, data[2:], kernel))
    return tuple(shape for _ in node.outputs)


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
    """NumPy's matmul for operands of rank 2 or more."""
    left, right = shape_of(required(node, 0)), shape_of(required(node, 1))
    if min(len(left), len(right)) < 2:
        return by_onnx(node)
    if left[-1] != right[-2]:
        raise _unfit(node, f"inner dimensions {left[-1]} and {right[-2]} differ")
    batch = np.broadcast_shapes(left[:-2], right[:-2])
    return ((*(int(dim) for dim in batch), left[-2], right[-1]),)


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
    has_axes = len(node.inputs) > 3 and node.inputs[3] is not None
    axes = _constant_ints(node, 3) if has_axes else list(range(len(data)))
    if len(pads) != 2 * len(axes):
        raise _unfit(node, f"{len(pads)} pads do not fit {len(axes)} axes")
    for i, axis in enumerate(axes):
        data[axis] += pads[i] + pads[len(axes) + i]
    return (tuple(data),)


def reduce(node: ir.Node) -> tuple[Shape, ...]:
    """Reduction over constant axes, over all of them when none are given."""
    data = shape_of(required(node, 0))
    has_axes = len(node.inputs) > 1 and node.inputs[1] is not None
    given = _constant_ints(node, 1) if has_axes else []
    noop = node.attributes.get_int("noop_with_empty_axes", 0)
    if noop and not given:
        return (data,)
    axes = {axis % len(data) for axis in given} if given else set(range(len(data)))
    keep = node.attributes.get_int("keepdims", 1)
    return (tuple(1 if i in axes else dim for i, dim in enumerate(data) if keep or i not in axes),)


def resize(node: ir.Node) -> tuple[Shape, ...]:
    """Constant sizes or scales for every axis; other forms are left to the onnx package."""
    data = shape_of(required(node, 0))
    plain = not {"axes", "keep_aspect_ratio_policy"} & set(node.attributes)
    scales = array_of(node.inputs[2]) if len(node.inputs) > 2 else None
    if not plain or scales is None or scales.size != len(data):
        return by_onnx(node)
    return (tuple(math.floor(dim * float(scale)) for dim, scale in zip(data, scales, strict=True)),)


def by_onnx(node: ir.Node) -> tuple[Shape, ...]:
    """What the onnx package infers; :class:`GraphError` when it cannot tell a static shape."""
    result = []
    for value, (shape, _) in zip(node.outputs, infer_by_onnx(node), strict=True):
        if shape is None:
            raise GraphError(f"the shape of {value.name!r} cannot be inferred: node {node.name!r}")
        result.append(shape)
    return tuple(result)


def infer_by_onnx(node: ir.Node) -> list[tuple[Shape | None, ir.DataType]]:
    """Shape (None if not static) and dtype of each output, by the onnx package's own rules."""
    proto = ir.serde.serialize_node(node)
    types = {v.name: _type_proto(v) for v in node.inputs if v is not None and v.name is not None}
    data = {
        v.name: ir.serde.serialize_tensor(v.const_value)
        for v in node.inputs
        if v is not None
        and v.name is not None
        and v.const_value is not None
        and v.const_value.size <= _MAX_SHAPE_ELEMENTS
    }
    # Outputs without a name would be skipped as absent.
    del proto.output[:]
    proto.output.extend(f"output {i}" for i in range(len(node.outputs)))
    try:
        schema = onnx.defs.get_schema(node.op_type, OPSET)
        opsets = [onnx.helper.make_opsetid("", OPSET)]
        found = onnx.shape_inference.infer_node_outputs(schema, proto, types, data, opset_imports=opsets)
    except (onnx.defs.SchemaError, onnx.shape_inference.InferenceError, RuntimeError, ValueError) as exc:
        raise _unfit(node, str(exc).strip() or "shape inference failed") from exc
    return [_from_type_proto(found.get(name)) for name in proto.output]


def _type_proto(value: ir.Value) -> onnx.TypeProto:
    dtype = value.dtype if value.dtype is not None else ir.DataType.FLOAT
    shape = None if value.shape is None else [d if isinstance(d, int) else None for d in value.shape]
    return onnx.helper.make_tensor_type_proto(int(dtype), shape)


def _from_type_proto(proto: onnx.TypeProto | None) -> tuple[Shape | None, ir.DataType]:
    if proto is None:
        return None, ir.DataType.FLOAT
    tensor = proto.tensor_type
    static = tensor.HasField("shape") and all(dim.HasField("dim_value") for dim in tensor.shape.dim)
    shape = tuple(dim.dim_value for dim in tensor.shape.dim) if static else None
    return shape, ir.DataType(tensor.elem_type)


def _windows(node: ir.Node, spatial: Sequence[int], kernel: Sequence[int]) -> tuple[int, ...]:
    """Number of windows along each spatial axis, pads explicit, ``ceil_mode`` respected."""
    if node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET":
        return by_onnx(node)[0][2:]
    rank = len(spatial)
    strides = _ints(node, "strides", [1] * rank)
    dilations = _ints(node, "dilations", [1] * rank)
    pads = _ints(node, "pads", [0] * 2 * rank)
    if not len(strides) == len(dilations) == len(pads) // 2 == rank:
        raise _unfit(node, f"strides {strides}, dilations {dilations} or pads {pads} do not fit {rank} axes")
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


def _ints(node: ir.Node, name: str, default: list[int]) -> list[int]:
    return list(node.attributes.get_ints(name, default))


def _constant_ints(node: ir.Node, index: int) -> list[int]:
    array = array_of(required(node, index))
    if array is None:
        raise UnsupportedError(
            f"node {node.name!r} ({node.op_type}): input {index} must be a constant",
            hint="shapes must not depend on the image; export the model with a static input shape",
        )
    return [int(item) for item in array.reshape(-1)]


def _unfit(node: ir.Node, reason: str) -> UnsupportedError:
    return UnsupportedError(f"node {node.name!r} ({node.op_type}): {reason}")
