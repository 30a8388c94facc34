"""Scaling rules of the papers: how a width multiplier rounds channels and a depth multiplier repeats."""

from __future__ import annotations

import math

from edgekit.errors import InputError
from edgekit.options import Scale

__all__ = ["Scale", "check_scale", "round_channels", "round_repeats"]

_LEAST_SHARE = 0.9


def round_channels(channels: float, width: float = 1.0, divisor: int = 8) -> int:
    """``channels × width`` rounded to the nearest multiple of ``divisor``, never below 90 % of it.

    At least ``divisor``; a half rounds up. Source: ``make_divisible`` as stated for MobileNetV2
    (arXiv 1801.04381) and EfficientNet (arXiv 1905.11946).
    """
    scaled = channels * width
    rounded = max(divisor, int(scaled + divisor / 2) // divisor * divisor)
    return rounded if rounded >= _LEAST_SHARE * scaled else rounded + divisor


def round_repeats(repeats: int, depth: float = 1.0) -> int:
    """``repeats × depth`` rounded up (EfficientNet, arXiv 1905.11946), at least 1."""
    return math.ceil(repeats * depth)


def check_scale(scale: Scale) -> None:
    """Raise :class:`InputError` for a scale that no network can have."""
    for name in ("width", "depth"):
        value = getattr(scale, name)
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{name} is {value}, expected a finite number above 0")
    for name in ("resolution", "num_classes", "in_channels"):
        value = getattr(scale, name)
        if value < 1:
            raise InputError(f"{name} is {value}, expected at least 1")
