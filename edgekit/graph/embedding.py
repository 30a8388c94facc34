"""Normalization as part of the network, so that raw pixels can be fed.

In a float graph a depthwise 1 × 1 convolution computes (pixel / 255 - mean) / std before everything else;
what pads the layer after it still pads with zeros of the normalized image. In a quantized graph the
network behind it is untouched: the same integers as with external normalization arrive at its first layer,

- without any operator, where the input's integers are the pixels but for an offset, which is so for equal
  channels (:func:`is_pixel_grid`): the answers are then the same to the last bit;
- else by a depthwise 1 × 1 convolution in integers, whose result differs from what is rounded outside by
  at most one step, and only where the real number lies at the edge between two.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit.errors import UnsupportedError
from edgekit.graph import qdq
from edgekit.graph.ops import infer_types
from edgekit.graph.values import add_initializer, array_of, new_node, shape_of
from edgekit.options import Preprocessing

__all__ = ["NODE", "embed_normalization", "is_pixel_grid", "of_pixels"]

FloatArray = npt.NDArray[np.float32]

NODE = "normalize"
"""Name of the convolution that normalizes."""

_LEVELS = 256
_PIXEL_PARAMS = (1.0, -128)  # real numbers are the pixels themselves, 0 to 255
_MULTIPLIERS = range(64, 128)


def embed_normalization(model: ir.Model, preprocessing: Preprocessing) -> ir.Model:
    """A copy of a canonical graph, fp32 or quantized to int8, whose input's real numbers are pixels 0 to 255.

    A quantized graph whose input's integers are the pixels already comes back as it is: only how they are
    read changes. Raises UnsupportedError for a quantized graph whose input is not int8.
    """
    copy = model.clone()
    image = copy.graph.inputs[0]
    quantize = next((use.node for use in image.uses() if use.node.op_type == "QuantizeLinear"), None)
    if quantize is None:
        _refuse_partly_quantized(copy.graph)
        _insert(copy.graph, image, None, preprocessing)
        return copy
    scale, zero = array_of(quantize.inputs[1]), array_of(quantize.inputs[2])
    assert scale is not None
    assert zero is not None
    if zero.dtype != np.int8 or len(image.uses()) != 1:
        raise UnsupportedError(
            f"input {image.name!r} is not quantized to int8 throughout, so pixels cannot be its integers",
            hint="export without --embed-preprocessing, or with --precision int8 and its first layer int8",
        )
    if not is_pixel_grid(float(scale), int(zero), preprocessing):
        _insert(copy.graph, image, quantize, preprocessing)
    return copy


def is_pixel_grid(scale: float, zero_point: int, preprocessing: Preprocessing) -> bool:
    """Whether int8 with these parameters holds every normalized pixel at pixel - 128; all 256 are tried."""
    pixels = np.arange(_LEVELS, dtype=np.float32)[:, None]
    mean, std = np.asarray(preprocessing.mean, np.float32), np.asarray(preprocessing.std, np.float32)
    normalized = (pixels / np.float32(255) - mean) / std
    integers = np.clip(np.rint(normalized / np.float32(scale)) + zero_point, -128, 127)
    return bool(np.array_equal(integers, np.broadcast_to(pixels - 128, integers.shape)))


def of_pixels(preprocessing: Preprocessing) -> Preprocessing:
    """What is left to do outside: the same image, its pixels as they are."""
    channels = len(preprocessing.mean)
    return replace(preprocessing, mean=(0.0,) * channels, std=(1 / 255,) * channels)


def _refuse_partly_quantized(graph: ir.Graph) -> None:
    if any(node.op_type == "QuantizeLinear" for node in graph):
        raise UnsupportedError(
            "the first layer stays float in a quantized network, so pixels cannot be its integers",
            hint="export without --embed-preprocessing, or let the first layer be quantized",
        )


def _insert(graph: ir.Graph, image: ir.Value, quantize: ir.Node | None, preprocessing: Preprocessing) -> None:
    """Put the convolution behind the image, in integers if ``quantize`` reads it."""
    readers = [(use.node, use.idx) for use in image.uses()]
    channels = shape_of(image)[1]
    std = np.broadcast_to(np.asarray(preprocessing.std, np.float64), [channels])
    mean = np.broadcast_to(np.asarray(preprocessing.mean, np.float64), [channels])
    node = _convolution(graph, image, 1 / (255 * std), -mean / std)
    for reader, index in readers:
        reader.replace_input_with(index, node.outputs[0])
    graph.insert_before(next(iter(graph)), node)
    if quantize is None:
        return
    params = qdq.scalar_params(*_PIXEL_PARAMS)
    qdq.insert_activation_pair(graph, image, params, name=f"{image.name}.pixels")
    weight, bias = _integer_constants(mean, std)
    qdq.insert_constant(graph, node, 1, weight)
    qdq.insert_constant(graph, node, 2, bias)


def _convolution(
    graph: ir.Graph, image: ir.Value, factors: npt.NDArray[np.float64], offsets: npt.NDArray[np.float64]
) -> ir.Node:
    weight = factors.astype(np.float32).reshape(-1, 1, 1, 1)
    node = new_node(
        "Conv",
        [
            image,
            add_initializer(graph, f"{NODE}.weight", weight),
            add_initializer(graph, f"{NODE}.bias", offsets.astype(np.float32)),
        ],
        {
            "kernel_shape": [1, 1],
            "strides": [1, 1],
            "pads": [0, 0, 0, 0],
            "dilations": [1, 1],
            "group": len(weight),
        },
        {},
    )
    node.name = node.outputs[0].name = NODE
    infer_types(node)
    return node


def _integer_constants(
    mean: npt.NDArray[np.float64], std: npt.NDArray[np.float64]
) -> tuple[qdq.QuantizedTensor, qdq.QuantizedTensor]:
    """int8 weights and int32 biases; each weight is the integer that makes its bias nearest to an integer."""
    candidates = np.asarray(_MULTIPLIERS, np.float64)[:, None]
    offsets = candidates * 255 * mean
    rounding = np.abs(offsets - np.rint(offsets)) / candidates
    integers = candidates[rounding.argmin(0), 0]
    scale = (1 / (255 * std * integers)).astype(np.float32)
    weight = integers.astype(np.int8).reshape(-1, 1, 1, 1)
    bias = -np.rint(integers * 255 * mean).astype(np.int32)
    return (
        qdq.QuantizedTensor(scale, 0, ir.DataType.INT8, 0, weight),
        qdq.QuantizedTensor(scale, 0, ir.DataType.INT32, 0, bias),
    )
