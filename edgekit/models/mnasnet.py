"""MnasNet: inverted residuals found by search, on a phone, for accuracy and latency.

MnasNet: Platform-Aware Neural Architecture Search for Mobile (arXiv 1807.11626). Width multiplies every
channel count but the head's and the classes; depth multiplies the repeats of the rows that repeat (n > 1),
rounded up.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import NamedTuple

from edgekit.models.blocks import Classifier, ConvBlock, InvertedResidual
from edgekit.models.entry import Entry, Published
from edgekit.models.network import Unit, repeated
from edgekit.models.scale import Scale, round_channels, round_repeats

__all__ = ["A1", "B1", "ENTRIES", "MnasRow", "mnasnet"]


class MnasRow(NamedTuple):
    """``repeats`` bottlenecks; the first has the stride."""

    expand: int
    channels: int
    repeats: int
    stride: int
    kernel: int
    se_ratio: float = 0.0


B1 = (
    MnasRow(expand=1, channels=16, repeats=1, stride=1, kernel=3),
    MnasRow(expand=3, channels=24, repeats=3, stride=2, kernel=3),
    MnasRow(expand=3, channels=40, repeats=3, stride=2, kernel=5),
    MnasRow(expand=6, channels=80, repeats=3, stride=2, kernel=5),
    MnasRow(expand=6, channels=96, repeats=2, stride=1, kernel=3),
    MnasRow(expand=6, channels=192, repeats=4, stride=2, kernel=5),
    MnasRow(expand=6, channels=320, repeats=1, stride=1, kernel=3),
)
"""MnasNet-B1, without squeeze-and-excitation (tensorflow/tpu models/official/mnasnet/mnasnet_models.py)."""

A1 = (
    MnasRow(expand=1, channels=16, repeats=1, stride=1, kernel=3),
    MnasRow(expand=6, channels=24, repeats=2, stride=2, kernel=3),
    MnasRow(expand=3, channels=40, repeats=3, stride=2, kernel=5, se_ratio=0.25),
    MnasRow(expand=6, channels=80, repeats=4, stride=2, kernel=3),
    MnasRow(expand=6, channels=112, repeats=2, stride=1, kernel=3, se_ratio=0.25),
    MnasRow(expand=6, channels=160, repeats=3, stride=2, kernel=5, se_ratio=0.25),
    MnasRow(expand=6, channels=320, repeats=1, stride=1, kernel=3),
)
"""MnasNet-A1 (figure 7 of the paper)."""

_STEM, _HEAD = 32, 1280
_DROPOUT = 0.2


def _stage(row: MnasRow, scale: Scale) -> tuple[Unit, ...]:
    channels = round_channels(row.channels, scale.width)
    first = InvertedResidual(channels, row.expand, row.kernel, row.stride, "relu", row.se_ratio)
    repeats = round_repeats(row.repeats, scale.depth) if row.repeats > 1 else 1
    return repeated("blocks.", first, replace(first, stride=1), repeats)


def mnasnet(rows: tuple[MnasRow, ...], scale: Scale) -> tuple[Unit, ...]:
    """MnasNet from one of the tables."""
    stem = round_channels(_STEM, scale.width)
    return (
        Unit("stem", ConvBlock(stem, kernel=3, stride=2, activation="relu")),
        *(unit for row in rows for unit in _stage(row, scale)),
        Unit("head", ConvBlock(_HEAD, kernel=1, stride=1, activation="relu")),
        Unit("classifier", Classifier(scale.num_classes, _DROPOUT)),
    )


_TORCHVISION = "pytorch/vision torchvision/models/mnasnet.py"
_B1 = {
    "mnasnet0_5": (0.5, Published(2_218_512, 67.734, _TORCHVISION, 87.490)),
    "mnasnet0_75": (0.75, Published(3_170_208, 71.180, _TORCHVISION, 90.496)),
    "mnasnet1_0": (1.0, Published(4_383_312, 73.456, _TORCHVISION, 91.510)),
    "mnasnet1_3": (1.3, Published(6_282_256, 76.506, _TORCHVISION, 93.522)),
}
ENTRIES = {
    name: Entry("mnasnet", 2018, Scale(width=width), partial(mnasnet, B1), published)
    for name, (width, published) in _B1.items()
} | {
    "mnasnet_a1": Entry(
        "mnasnet",
        2018,
        Scale(),
        partial(mnasnet, A1),
        Published(3_887_038, 75.2, "tensorflow/tpu models/official/mnasnet/README.md", 92.5),
    )
}
