"""SqueezeNet 1.0 and 1.1: fire modules, no batch norm, no fully connected layer.

Width multiplies every channel count but the classes. Depth multiplies the repeats of the rows that
repeat (n > 1), rounded up. The paper has neither multiplier.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import NamedTuple

from edgekit.models.blocks import ConvBlock, ConvClassifier, Fire, MaxPool
from edgekit.models.entry import Entry, Published
from edgekit.models.network import Unit
from edgekit.models.scale import Scale, round_channels, round_repeats

__all__ = [
    "ENTRIES",
    "SQUEEZENET_1_0",
    "SQUEEZENET_1_1",
    "FireRow",
    "PoolRow",
    "StemRow",
    "scale_rows",
    "squeezenet",
]


class StemRow(NamedTuple):
    """conv1, without padding."""

    channels: int
    kernel: int
    stride: int


class PoolRow(NamedTuple):
    """Max pooling whose last window may hang over the edge."""

    kernel: int
    stride: int


class FireRow(NamedTuple):
    """``repeats`` equal fire modules, in the paper's s1x1, e1x1, e3x3."""

    squeeze: int
    expand1x1: int
    expand3x3: int
    repeats: int = 1


Row = StemRow | PoolRow | FireRow

SQUEEZENET_1_0: tuple[Row, ...] = (
    StemRow(channels=96, kernel=7, stride=2),
    PoolRow(kernel=3, stride=2),
    FireRow(squeeze=16, expand1x1=64, expand3x3=64, repeats=2),
    FireRow(squeeze=32, expand1x1=128, expand3x3=128),
    PoolRow(kernel=3, stride=2),
    FireRow(squeeze=32, expand1x1=128, expand3x3=128),
    FireRow(squeeze=48, expand1x1=192, expand3x3=192, repeats=2),
    FireRow(squeeze=64, expand1x1=256, expand3x3=256),
    PoolRow(kernel=3, stride=2),
    FireRow(squeeze=64, expand1x1=256, expand3x3=256),
)
"""SqueezeNet (arXiv 1602.07360), table 1."""

SQUEEZENET_1_1: tuple[Row, ...] = (
    StemRow(channels=64, kernel=3, stride=2),
    PoolRow(kernel=3, stride=2),
    FireRow(squeeze=16, expand1x1=64, expand3x3=64, repeats=2),
    PoolRow(kernel=3, stride=2),
    FireRow(squeeze=32, expand1x1=128, expand3x3=128, repeats=2),
    PoolRow(kernel=3, stride=2),
    FireRow(squeeze=48, expand1x1=192, expand3x3=192, repeats=2),
    FireRow(squeeze=64, expand1x1=256, expand3x3=256, repeats=2),
)
"""The authors' release 1.1 (forresti/SqueezeNet, SqueezeNet_v1.1/README.md)."""

_DROPOUT = 0.5


def _scale_row(row: Row, scale: Scale) -> Row:
    if isinstance(row, StemRow):
        return row._replace(channels=round_channels(row.channels, scale.width))
    if isinstance(row, PoolRow):
        return row
    return FireRow(
        squeeze=round_channels(row.squeeze, scale.width),
        expand1x1=round_channels(row.expand1x1, scale.width),
        expand3x3=round_channels(row.expand3x3, scale.width),
        repeats=round_repeats(row.repeats, scale.depth) if row.repeats > 1 else 1,
    )


def scale_rows(rows: tuple[Row, ...], scale: Scale) -> tuple[Row, ...]:
    """The table at another width and depth."""
    return tuple(_scale_row(row, scale) for row in rows)


@lru_cache(maxsize=1 << 12, typed=True)  # a search meets the same scaled rows over and over
def _unit(row: Row, bypass: bool) -> Unit:
    if isinstance(row, StemRow):
        stem = ConvBlock(row.channels, row.kernel, row.stride, activation="relu", norm=False, padded=False)
        return Unit("stem", stem)
    if isinstance(row, PoolRow):
        return Unit("pools.", MaxPool(row.kernel, row.stride, ceil=True))
    return Unit("blocks.", Fire(row.squeeze, row.expand1x1, row.expand3x3, bypass), row.repeats)


def squeezenet(rows: tuple[Row, ...], scale: Scale, *, bypass: bool = False) -> tuple[Unit, ...]:
    """SqueezeNet from one of the tables; with a ``bypass`` around every fire module that keeps its channels.

    Those are 3, 5, 7 and 9 of table 1, as in its section 6.
    """
    units = [_unit(row, bypass) for row in scale_rows(rows, scale)]
    return (*units, Unit("classifier", ConvClassifier(scale.num_classes, _DROPOUT)))


_TORCHVISION = "pytorch/vision torchvision/models/squeezenet.py"
ENTRIES = {
    "squeezenet1_0": Entry(
        "squeezenet",
        2016,
        Scale(),
        partial(squeezenet, SQUEEZENET_1_0),
        Published(1_248_424, 58.092, _TORCHVISION, 80.420),
    ),
    "squeezenet1_0_bypass": Entry(
        "squeezenet",
        2016,
        Scale(),
        partial(squeezenet, SQUEEZENET_1_0, bypass=True),
        Published(1_248_424, 60.4, "SqueezeNet (arXiv 1602.07360), table 3", 82.5),
    ),
    "squeezenet1_1": Entry(
        "squeezenet",
        2016,
        Scale(),
        partial(squeezenet, SQUEEZENET_1_1),
        Published(1_235_496, 58.178, _TORCHVISION, 80.624),
    ),
}
