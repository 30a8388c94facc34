"""MobileNet v1 and v2: depthwise separable convolutions and inverted residuals.

Depth multiplies the repeats of the rows that repeat (n > 1), rounded up; rows that stand once,
which change the resolution or the width alone, stay one block. The papers have no depth multiplier.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from edgekit.models.blocks import Classifier, ConvBlock, InvertedResidual, SeparableConv
from edgekit.models.entry import Entry, Published
from edgekit.models.network import Unit, repeated
from edgekit.models.scale import Scale, round_channels, round_repeats

__all__ = [
    "ENTRIES",
    "MOBILENET_V1",
    "MOBILENET_V2",
    "SeparableRow",
    "V2Row",
    "mobilenet_v1",
    "mobilenet_v2",
    "scale_v1",
    "scale_v2",
]


class SeparableRow(NamedTuple):
    """``repeats`` depthwise separable convolutions; the first has the stride."""

    channels: int
    repeats: int
    stride: int


class V2Row(NamedTuple):
    """``repeats`` bottlenecks, in the paper's letters t, c, n, s."""

    expand: int
    channels: int
    repeats: int
    stride: int


MOBILENET_V1 = (
    SeparableRow(channels=64, repeats=1, stride=1),
    SeparableRow(channels=128, repeats=1, stride=2),
    SeparableRow(channels=128, repeats=1, stride=1),
    SeparableRow(channels=256, repeats=1, stride=2),
    SeparableRow(channels=256, repeats=1, stride=1),
    SeparableRow(channels=512, repeats=1, stride=2),
    SeparableRow(channels=512, repeats=5, stride=1),
    SeparableRow(channels=1024, repeats=1, stride=2),
    SeparableRow(channels=1024, repeats=1, stride=1),
)
"""MobileNets (arXiv 1704.04861), table 1.

Its last row says stride 2, which its own output sizes contradict; 1 is meant.
"""
V1_STEM_CHANNELS = 32

MOBILENET_V2 = (
    V2Row(expand=1, channels=16, repeats=1, stride=1),
    V2Row(expand=6, channels=24, repeats=2, stride=2),
    V2Row(expand=6, channels=32, repeats=3, stride=2),
    V2Row(expand=6, channels=64, repeats=4, stride=2),
    V2Row(expand=6, channels=96, repeats=3, stride=1),
    V2Row(expand=6, channels=160, repeats=3, stride=2),
    V2Row(expand=6, channels=320, repeats=1, stride=1),
)
"""MobileNetV2 (arXiv 1801.04381), table 2."""
V2_STEM_CHANNELS = 32
V2_HEAD_CHANNELS = 1280


def _scale_repeats(repeats: int, depth: float) -> int:
    return round_repeats(repeats, depth) if repeats > 1 else 1


def scale_v1(rows: tuple[SeparableRow, ...], scale: Scale) -> tuple[SeparableRow, ...]:
    """The table at another width and depth."""
    return tuple(
        row._replace(
            channels=round_channels(row.channels, scale.width),
            repeats=_scale_repeats(row.repeats, scale.depth),
        )
        for row in rows
    )


def scale_v2(rows: tuple[V2Row, ...], scale: Scale) -> tuple[V2Row, ...]:
    """The table at another width and depth."""
    return tuple(
        row._replace(
            channels=round_channels(row.channels, scale.width),
            repeats=_scale_repeats(row.repeats, scale.depth),
        )
        for row in rows
    )


@lru_cache(maxsize=1 << 12, typed=True)  # a search meets the same scaled rows over and over
def _stage(row: SeparableRow | V2Row) -> tuple[Unit, ...]:
    first: SeparableConv | InvertedResidual
    if isinstance(row, SeparableRow):
        first = SeparableConv(row.channels, row.stride, activation="relu6")
    else:
        first = InvertedResidual(row.channels, row.expand, kernel=3, stride=row.stride, activation="relu6")
    return repeated("blocks.", first, replace(first, stride=1), row.repeats)


def mobilenet_v1(scale: Scale) -> tuple[Unit, ...]:
    """MobileNet v1: every layer is scaled by the width, the last included.

    Activations are ReLU6, as in the authors' release (tensorflow/models research/slim) and in the
    weights that exist; the paper says ReLU.
    """
    stem = round_channels(V1_STEM_CHANNELS, scale.width)
    return (
        Unit("stem", ConvBlock(stem, kernel=3, stride=2, activation="relu6")),
        *chain.from_iterable(map(_stage, scale_v1(MOBILENET_V1, scale))),
        Unit("classifier", Classifier(scale.num_classes, dropout=0.001)),
    )


def mobilenet_v2(scale: Scale) -> tuple[Unit, ...]:
    """MobileNet v2: the head keeps its 1280 channels at widths below 1 (section 6.1)."""
    stem = round_channels(V2_STEM_CHANNELS, scale.width)
    head = round_channels(V2_HEAD_CHANNELS, max(1.0, scale.width))
    return (
        Unit("stem", ConvBlock(stem, kernel=3, stride=2, activation="relu6")),
        *chain.from_iterable(map(_stage, scale_v2(MOBILENET_V2, scale))),
        Unit("head", ConvBlock(head, kernel=1, stride=1, activation="relu6")),
        Unit("classifier", Classifier(scale.num_classes, dropout=0.2)),
    )


ENTRIES = {
    "mobilenet_v1": Entry(
        "mobilenet_v1",
        2017,
        Scale(),
        mobilenet_v1,
        Published(4_231_976, 70.9, "tensorflow/models research/slim/nets/mobilenet_v1.md", 89.9),
    ),
    "mobilenet_v2": Entry(
        "mobilenet_v2",
        2018,
        Scale(),
        mobilenet_v2,
        Published(3_504_872, 72.154, "pytorch/vision torchvision/models/mobilenetv2.py", 90.822),
    ),
}
