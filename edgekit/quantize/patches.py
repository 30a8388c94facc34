"""Samples of what a convolution's kernel sees: rows of its matrix form."""

from __future__ import annotations

import math
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit.quantize.arithmetic import ActivationParams, FloatArray, IntArray, dequantize

__all__ = ["independent_rows", "sample_patches", "wanted_rows"]

_ROWS_PER_INPUT = 2  # sampled patches for each weight of an output; twice as many round no better
_MIN_ROWS, _MAX_ROWS = 512, 4096


def wanted_rows(size: int) -> int:
    """Patches that tell how the ``size`` inputs of an output go together."""
    return min(max(_ROWS_PER_INPUT * size, _MIN_ROWS), _MAX_ROWS)


def independent_rows(inputs: IntArray | FloatArray) -> int:
    """How many patches of ``inputs`` ``[N, C, H, W]`` or ``[N, K]`` say something of their own.

    Neighbours see the same thing: a picture counts as often as it has pixels on a side. (Of the shares that
    were tried on layers of EfficientNet-Lite1, this rule is near the best for maps of 8, 15 and 30 pixels.)
    """
    return len(inputs) * round(math.sqrt(math.prod(inputs.shape[2:])))


def sample_patches(
    node: ir.Node, inputs: IntArray | FloatArray, params: ActivationParams | None, rows: int, seed: int
) -> FloatArray:
    """About ``rows`` random input patches of a ``Conv`` or ``Gemm``, in real numbers.

    ``inputs`` is ``[N, C, H, W]`` (``[N, K]`` for ``Gemm``): int8 or int16 of ``params``, or float32 without.
    Returns float32 ``[groups, rows, K]`` with K = C/groups × kH × kW in the weight's order, so that patch ·
    weight row is an output.
    """
    if node.op_type == "Gemm":
        return _reals(inputs, params)[None]
    attributes = node.attributes
    top, left, bottom, right = attributes["pads"].as_ints()
    padded: npt.NDArray[Any] = inputs
    if top or left or bottom or right:
        pads = ((0, 0), (0, 0), (top, bottom), (left, right))
        padded = np.pad(inputs, pads, constant_values=0 if params is None else params.zero_point)
    rng = np.random.default_rng(seed)
    n, y, x = _positions(node, padded.shape, rows, rng)
    kernel, dilation = attributes["kernel_shape"].as_ints(), attributes["dilations"].as_ints()
    dy = np.arange(kernel[0]) * dilation[0]
    dx = np.arange(kernel[1]) * dilation[1]
    rows_y = y[:, None, None] + dy[None, :, None]
    rows_x = x[:, None, None] + dx[None, None, :]
    patches = padded.transpose(0, 2, 3, 1)[n[:, None, None], rows_y, rows_x]  # [rows, kH, kW, C]
    groups = attributes["group"].as_int()
    per_group = padded.shape[1] // groups
    shaped = patches.reshape(len(n), kernel[0] * kernel[1], groups, per_group)
    ordered = shaped.transpose(2, 0, 3, 1).reshape(groups, len(n), -1)
    return _reals(np.ascontiguousarray(ordered), params)


def _reals(held: IntArray | FloatArray, params: ActivationParams | None) -> FloatArray:
    return cast(FloatArray, held) if params is None else dequantize(cast(IntArray, held), params)


def _positions(
    node: ir.Node, padded: tuple[int, ...], rows: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Image and top left corner of random patches, without repetition."""
    attributes = node.attributes
    sizes = zip(
        padded[2:],
        attributes["kernel_shape"].as_ints(),
        attributes["dilations"].as_ints(),
        attributes["strides"].as_ints(),
        strict=True,
    )
    height, width = (
        (side - (kernel - 1) * dilation - 1) // stride + 1 for side, kernel, dilation, stride in sizes
    )
    total = padded[0] * height * width
    chosen = rng.permutation(total)[:rows] if rows < total else np.arange(total)
    image, cell = np.divmod(chosen, height * width)
    y, x = np.divmod(cell, width)
    strides = attributes["strides"].as_ints()
    return image, y * strides[0], x * strides[1]
