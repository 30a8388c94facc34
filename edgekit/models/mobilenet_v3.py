"""MobileNet v3: inverted residuals found by search, hard swish, and squeeze-and-excitation in some.

Searching for MobileNetV3 (arXiv 1905.02244). Width multiplies every channel count but the classes and, below
1, the hidden layer of the classifier; its blocks differ, so that there is nothing to repeat.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from edgekit.models.blocks import ConvBlock, HiddenClassifier, InvertedResidual
from edgekit.models.entry import Entry, Published
from edgekit.models.layers import ActivationKind
from edgekit.models.network import PORTED, Unit
from edgekit.models.scale import Scale, round_channels

__all__ = ["ENTRIES", "LARGE", "SMALL", "V3Row", "mobilenet_v3"]


class V3Row(NamedTuple):
    """A bottleneck, in the columns of tables 1 and 2: kernel, exp size, #out, SE, NL, s."""

    kernel: int
    expanded: int
    channels: int
    squeezes: bool
    activation: ActivationKind
    stride: int


LARGE = (
    V3Row(3, 16, 16, False, "relu", 1),
    V3Row(3, 64, 24, False, "relu", 2),
    V3Row(3, 72, 24, False, "relu", 1),
    V3Row(5, 72, 40, True, "relu", 2),
    V3Row(5, 120, 40, True, "relu", 1),
    V3Row(5, 120, 40, True, "relu", 1),
    V3Row(3, 240, 80, False, "hardswish", 2),
    V3Row(3, 200, 80, False, "hardswish", 1),
    V3Row(3, 184, 80, False, "hardswish", 1),
    V3Row(3, 184, 80, False, "hardswish", 1),
    V3Row(3, 480, 112, True, "hardswish", 1),
    V3Row(3, 672, 112, True, "hardswish", 1),
    V3Row(5, 672, 160, True, "hardswish", 2),
    V3Row(5, 960, 160, True, "hardswish", 1),
    V3Row(5, 960, 160, True, "hardswish", 1),
)
"""Table 1."""

SMALL = (
    V3Row(3, 16, 16, True, "relu", 2),
    V3Row(3, 72, 24, False, "relu", 2),
    V3Row(3, 88, 24, False, "relu", 1),
    V3Row(5, 96, 40, True, "hardswish", 2),
    V3Row(5, 240, 40, True, "hardswish", 1),
    V3Row(5, 240, 40, True, "hardswish", 1),
    V3Row(5, 120, 48, True, "hardswish", 1),
    V3Row(5, 144, 48, True, "hardswish", 1),
    V3Row(5, 288, 96, True, "hardswish", 2),
    V3Row(5, 576, 96, True, "hardswish", 1),
    V3Row(5, 576, 96, True, "hardswish", 1),
)
"""Table 2."""

_STEM = 16
_HEAD_EXPANSION = 6
_SQUEEZE = 4
_DROPOUT = 0.2


def _block(row: V3Row, width: float) -> InvertedResidual:
    hidden = round_channels(row.expanded, width)
    return InvertedResidual(
        round_channels(row.channels, width),
        expand=0,
        kernel=row.kernel,
        stride=row.stride,
        activation=row.activation,
        hidden=hidden,
        se_channels=round_channels(hidden / _SQUEEZE) if row.squeezes else 0,
    )


def mobilenet_v3(rows: tuple[V3Row, ...], hidden: int, scale: Scale) -> tuple[Unit, ...]:
    """MobileNet v3 from one of the tables, with so many features before the logits."""
    stem = round_channels(_STEM, scale.width)
    blocks = [_block(row, scale.width) for row in rows]
    head = _HEAD_EXPANSION * blocks[-1].channels
    features = round_channels(hidden, max(1.0, scale.width))
    return (
        Unit("stem", ConvBlock(stem, kernel=3, stride=2, activation="hardswish")),
        *(Unit("blocks.", block) for block in blocks),
        Unit("head", ConvBlock(head, kernel=1, stride=1, activation="hardswish")),
        Unit("classifier", HiddenClassifier(features, scale.num_classes, "hardswish", _DROPOUT)),
    )


_TORCHVISION = "pytorch/vision torchvision/models/mobilenetv3.py"
ENTRIES = {
    "mobilenet_v3_large": Entry(
        "mobilenet_v3",
        2019,
        Scale(),
        partial(mobilenet_v3, LARGE, 1280),
        Published(5_483_032, 75.274, _TORCHVISION, 92.566),
        PORTED,
        has_depth=False,
    ),
    "mobilenet_v3_small": Entry(
        "mobilenet_v3",
        2019,
        Scale(),
        partial(mobilenet_v3, SMALL, 1024),
        Published(2_542_856, 67.668, _TORCHVISION, 87.402),
        PORTED,
        has_depth=False,
    ),
}
