"""VGG: 3×3 convolutions alone, two to four in a row, then three fully connected layers.

Two 3×3 convolutions in a row see 5×5 pixels, three see 7×7, with fewer weights than one such kernel.
Width multiplies every channel count but the classes; depth multiplies the convolutions of a stage,
rounded up. The first fully connected layer has a weight for every pixel, so its size follows the
resolution.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

from edgekit.models.blocks import ConvBlock, MaxPool, Perceptron
from edgekit.models.entry import Entry, Published
from edgekit.models.network import Unit
from edgekit.models.scale import Scale, round_channels, round_repeats

__all__ = ["ENTRIES", "VGG", "StageRow", "scale_rows", "vgg"]


class StageRow(NamedTuple):
    """``repeats`` 3×3 convolutions, then a 2×2 max pool."""

    channels: int
    repeats: int


def _rows(*repeats: int) -> tuple[StageRow, ...]:
    return tuple(map(StageRow, (64, 128, 256, 512, 512), repeats))


VGG = {
    11: _rows(1, 1, 2, 2, 2),
    13: _rows(2, 2, 2, 2, 2),
    16: _rows(2, 2, 3, 3, 3),
    19: _rows(2, 2, 4, 4, 4),
}
"""VGG (arXiv 1409.1556), table 1, columns A, B, D and E."""

HIDDEN = (4096, 4096)
_DROPOUT = 0.5


def scale_rows(rows: tuple[StageRow, ...], scale: Scale) -> tuple[StageRow, ...]:
    """The table at another width and depth."""
    return tuple(
        StageRow(round_channels(row.channels, scale.width), round_repeats(row.repeats, scale.depth))
        for row in rows
    )


def vgg(rows: tuple[StageRow, ...], norm: bool, scale: Scale) -> tuple[Unit, ...]:
    """VGG from one of the columns, with batch norm in every convolution or in none."""
    units: list[Unit] = []
    for row in scale_rows(rows, scale):
        conv = ConvBlock(row.channels, 3, 1, "relu", norm=norm, bias=True)
        units += [Unit("blocks.", conv, row.repeats), Unit("pools.", MaxPool(kernel=2, stride=2))]
    hidden = tuple(round_channels(features, scale.width) for features in HIDDEN)
    return (*units, Unit("classifier", Perceptron(hidden, scale.num_classes, "relu", _DROPOUT)))


_TORCHVISION = "pytorch/vision torchvision/models/vgg.py"
_PUBLISHED = {
    (11, False): (132_863_336, 69.020, 88.628),
    (11, True): (132_868_840, 70.370, 89.810),
    (13, False): (133_047_848, 69.928, 89.246),
    (13, True): (133_053_736, 71.586, 90.374),
    (16, False): (138_357_544, 71.592, 90.382),
    (16, True): (138_365_992, 73.360, 91.516),
    (19, False): (143_667_240, 72.376, 90.876),
    (19, True): (143_678_248, 74.218, 91.842),
}
ENTRIES = {
    f"vgg{layers}{'_bn' if norm else ''}": Entry(
        "vgg",
        2014,
        Scale(),
        partial(vgg, VGG[layers], norm),
        Published(params, top1, _TORCHVISION, top5),
    )
    for (layers, norm), (params, top1, top5) in _PUBLISHED.items()
}
