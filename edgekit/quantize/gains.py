"""Gains: rounding noise weakens what a network says, by a little in every layer.

Features answer less clearly to a noisy image, and quantization is noise in every layer: of the error of
EfficientNet-Lite1's and 2's logits a seventh to a quarter was that all were 2 to 3 % too small. A factor of a
layer's output is free in int8: it goes into the scale of the weights, whose integers stay.
"""

from __future__ import annotations

import numpy as np

from edgekit.quantize.arithmetic import FloatArray

__all__ = ["output_gain"]

_MOST = 1.1  # more is no attenuation


def output_gain(expected: FloatArray, actual: FloatArray) -> float:
    """The factor that brings ``actual`` nearest to ``expected``, both float32 ``[N, C, …]``, means aside.

    One for all channels: factors of their own, of few images, would be fitted to chance. 1.0 for outputs
    that do not vary.
    """
    ours, theirs = _centered(expected), _centered(actual)
    energy = _product(theirs, theirs)
    if energy <= 0:
        return 1.0
    product = _product(ours, theirs)
    return float(np.clip(product / energy, 1 / _MOST, _MOST))


def _centered(values: FloatArray) -> FloatArray:
    centered: FloatArray = values - values.mean(axis=(0, *range(2, values.ndim)), keepdims=True)
    return centered


def _product(one: FloatArray, other: FloatArray) -> float:
    """The sum of products, in float32 within an image only."""
    return sum(float(np.vdot(a, b)) for a, b in zip(one, other, strict=True))
