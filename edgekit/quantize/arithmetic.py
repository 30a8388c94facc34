"""Quantization arithmetic: pure numpy, no graphs and no files.

Integers follow the TFLite 8-bit specification: real = (integer - zero_point) * scale. Rounding is
half to even, as the QuantizeLinear kernels do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.options import Preprocessing

__all__ = [
    "INT8_MAX",
    "INT8_MIN",
    "INT16_MAX",
    "REDUCED_WEIGHT_MAX",
    "WEIGHT_MAX",
    "ActivationParams",
    "IntArray",
    "activation_params",
    "bias_scale",
    "by_channel",
    "channel_mean",
    "dequantize",
    "pixel_params",
    "quantize",
    "quantize_bias",
    "quantize_weight",
    "scale_floor",
    "weight_scale",
    "wide_params",
]

FloatArray = npt.NDArray[np.float32]
Int8Array = npt.NDArray[np.int8]
Int32Array = npt.NDArray[np.int32]
IntArray: TypeAlias = npt.NDArray[np.signedinteger[Any]]

INT8_MIN, INT8_MAX = -128, 127
INT16_MAX = 32767
WEIGHT_MAX = 127
REDUCED_WEIGHT_MAX = 64
"""For processors that add two products in 16 bits: 2 · 255 · 64 still fits."""
_INT32_MAX = 2**31 - 1
_HALF_RANGE = 2.0**30
_SMALLEST_SCALE = 2.0**-60  # the product of two is still a normal float32, as delegates demand
_WIDE_HEADROOM = 4
_CHANNEL_FLOOR = 1e-5  # of the layer's largest scale: keeps requantization multipliers representable


@dataclass(frozen=True)
class ActivationParams:
    """Scale and zero point of one integer tensor: real = (integer - zero_point) * scale.

    ``bits`` is 8, or 16 for the activations of TFLite's 16x8 kernels, whose zero point is 0.
    """

    scale: float
    zero_point: int
    bits: Literal[8, 16] = 8

    @property
    def least(self) -> int:
        """Smallest integer of the type."""
        return int(-(2 ** (self.bits - 1)))

    @property
    def most(self) -> int:
        """Largest integer of the type."""
        return int(2 ** (self.bits - 1) - 1)

    @property
    def low(self) -> float:
        """Smallest real number that the integers hold."""
        return (self.least - self.zero_point) * self.scale

    @property
    def high(self) -> float:
        """Largest real number that the integers hold."""
        return (self.most - self.zero_point) * self.scale


def activation_params(low: float, high: float) -> ActivationParams:
    """Asymmetric int8 parameters that hold [low, high] and, exactly, zero.

    The scale is a float32 number, since that is what every file format stores. A value that was only
    ever zero gets [0, 1]: any scale is exact, and an extreme one would take its layer's multiplier
    beyond what integer kernels accept.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        high = 1.0
    scale = float(np.float32(max((high - low) / (INT8_MAX - INT8_MIN), _SMALLEST_SCALE)))
    zero_point = round(INT8_MIN - low / scale)
    return ActivationParams(scale, max(INT8_MIN, min(INT8_MAX, zero_point)))


def wide_params(params: ActivationParams) -> ActivationParams:
    """The symmetric int16 parameters of a value whose int8 parameters are given.

    Four times the int8 range fits: what a range choice cut off for the sake of its step comes back, and
    the step is still at most 1/32 of int8's.
    """
    reach = _WIDE_HEADROOM * max(-params.low, params.high)
    return ActivationParams(float(np.float32(reach / INT16_MAX)), 0, bits=16)


def pixel_params(preprocessing: Preprocessing) -> ActivationParams:
    """Parameters of an input that is pixels: they hold 0 to 255 of every channel, whatever the images.

    Where all channels share mean and std, each of the 256 pixel values has an integer of its own.
    """
    lows = [(0 - mean) / std for mean, std in zip(preprocessing.mean, preprocessing.std, strict=True)]
    highs = [(1 - mean) / std for mean, std in zip(preprocessing.mean, preprocessing.std, strict=True)]
    return activation_params(min(lows), max(highs))


def quantize(values: FloatArray, params: ActivationParams) -> IntArray:
    """Real numbers of any shape to int8, or int16 for such parameters, saturating."""
    integers = np.rint(values / np.float32(params.scale))
    integers += np.float32(params.zero_point)
    saturated: FloatArray = np.clip(integers, params.least, params.most, out=integers)
    return saturated.astype(np.int8) if params.bits == 8 else saturated.astype(np.int16)


def dequantize(integers: IntArray, params: ActivationParams) -> FloatArray:
    """Integers of any shape back to real numbers (float32)."""
    reals = integers.astype(np.float32)
    reals -= np.float32(params.zero_point)
    reals *= np.float32(params.scale)
    return reals


def weight_scale(weight: FloatArray, *, axis: int | None = 0) -> FloatArray:
    """Scale that maps the largest magnitude to 127: shape ``[channels]``, or ``[]`` for ``axis=None``.

    A channel of zeros gets the layer's largest, so that its bias stays representable; a layer of zeros the
    least, so that its bias stays precise.
    """
    others = tuple(i for i in range(weight.ndim) if i != axis)
    scale = np.asarray(np.abs(weight).max(axis=others, initial=0.0), np.float32) / np.float32(WEIGHT_MAX)
    top = float(scale.max(initial=0.0))
    floor = max(_CHANNEL_FLOOR * top, _SMALLEST_SCALE)
    return np.maximum(np.where(scale > 0, scale, top), floor).astype(np.float32)


def quantize_weight(weight: FloatArray, scale: FloatArray, *, axis: int = 0) -> Int8Array:
    """Symmetric int8 in [-127, 127], rounded to nearest; ``scale`` is ``[]`` or ``[channels]``."""
    integers: FloatArray = np.rint(weight / _along(scale, weight.ndim, axis))
    return np.clip(integers, -WEIGHT_MAX, WEIGHT_MAX).astype(np.int8)


def scale_floor(magnitude: FloatArray, input_scale: float) -> FloatArray:
    """Smallest weight scale ``[channels]`` with which a bias of ``magnitude`` takes half of int32's range.

    The other half is for the products: up to 33,000 of them fit, so that no sum overflows.
    """
    floor: FloatArray = (np.abs(magnitude).astype(np.float64) / (input_scale * _HALF_RANGE)).astype(
        np.float32
    )
    return floor


def bias_scale(input_scale: float, scale: FloatArray) -> FloatArray:
    """Scale of the bias, and of the sums of products: input × weight scale, shaped as the weight's."""
    steps: FloatArray = np.asarray(np.float32(input_scale) * scale, np.float32)
    return steps


def quantize_bias(bias: FloatArray, steps: FloatArray) -> Int32Array:
    """int32 bias ``[channels]`` at scale ``steps`` (``[]`` or ``[channels]``), zero point 0."""
    integers = np.rint(bias.astype(np.float64) / steps)
    assert np.abs(integers).max(initial=0) <= _INT32_MAX, "weight scales are widened for the bias"
    exact: Int32Array = integers.astype(np.int32)
    return exact


def _along(scale: FloatArray, ndim: int, axis: int) -> FloatArray:
    if scale.ndim == 0:
        return scale
    return scale.reshape([-1 if i == axis else 1 for i in range(ndim)])


def channel_mean(values: FloatArray) -> FloatArray:
    """Mean of each channel of ``[N, C, …]`` → ``[C]``."""
    mean: FloatArray = values.mean(axis=(0, *range(2, values.ndim)), dtype=np.float64).astype(np.float32)
    return mean


def by_channel(numbers: FloatArray, values: FloatArray) -> FloatArray:
    """Numbers ``[C]`` shaped to broadcast over ``values`` ``[N, C, …]``."""
    return numbers.reshape([1, -1] + [1] * (values.ndim - 2))
