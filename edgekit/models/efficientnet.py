"""EfficientNet and EfficientNet-Lite: one table, scaled in width, depth and resolution together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from typing import NamedTuple

from edgekit.models.blocks import Classifier, ConvBlock, InvertedResidual
from edgekit.models.entry import Entry, Published
from edgekit.models.layers import ActivationKind
from edgekit.models.network import TENSORFLOW, TORCH, Convention, Unit, repeated
from edgekit.models.scale import Scale, round_channels, round_repeats

__all__ = [
    "EFFICIENTNET",
    "EFFICIENTNET_LITE",
    "EFFICIENTNET_LITE_VARIANTS",
    "EFFICIENTNET_VARIANTS",
    "ENTRIES",
    "MBConvRow",
    "Variant",
    "efficientnet",
    "efficientnet_lite",
    "scale_rows",
]


class MBConvRow(NamedTuple):
    """A stage of ``repeats`` MBConv blocks; the first has the stride.

    ``fixed_repeats``: the depth multiplier leaves the stage alone.
    """

    expand: int
    channels: int
    repeats: int
    stride: int
    kernel: int
    se_ratio: float = 0.25
    fixed_repeats: bool = False


class Variant(NamedTuple):
    """Compound coefficients of one published network."""

    width: float
    depth: float
    resolution: int
    dropout: float


EFFICIENTNET = (
    MBConvRow(expand=1, channels=16, repeats=1, stride=1, kernel=3),
    MBConvRow(expand=6, channels=24, repeats=2, stride=2, kernel=3),
    MBConvRow(expand=6, channels=40, repeats=2, stride=2, kernel=5),
    MBConvRow(expand=6, channels=80, repeats=3, stride=2, kernel=3),
    MBConvRow(expand=6, channels=112, repeats=3, stride=1, kernel=5),
    MBConvRow(expand=6, channels=192, repeats=4, stride=2, kernel=5),
    MBConvRow(expand=6, channels=320, repeats=1, stride=1, kernel=3),
)
"""EfficientNet-B0 (arXiv 1905.11946), table 1, stages 2 to 8.

Stride is given by the resolution of the next stage's input; the squeeze is a quarter of the
block's input (section 4, after MnasNet).
"""
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280

EFFICIENTNET_LITE = tuple(
    row._replace(se_ratio=0.0, fixed_repeats=index in (0, len(EFFICIENTNET) - 1))
    for index, row in enumerate(EFFICIENTNET)
)
"""EfficientNet-Lite: no squeeze-and-excitation, first and last stage never deepened.

Source: tensorflow/tpu models/official/efficientnet/lite/README.md and efficientnet_lite_builder.py.
"""

EFFICIENTNET_VARIANTS = {
    "efficientnet_b0": Variant(width=1.0, depth=1.0, resolution=224, dropout=0.2),
    "efficientnet_b1": Variant(width=1.0, depth=1.1, resolution=240, dropout=0.2),
    "efficientnet_b2": Variant(width=1.1, depth=1.2, resolution=260, dropout=0.3),
    "efficientnet_b3": Variant(width=1.2, depth=1.4, resolution=300, dropout=0.3),
    "efficientnet_b4": Variant(width=1.4, depth=1.8, resolution=380, dropout=0.4),
    "efficientnet_b5": Variant(width=1.6, depth=2.2, resolution=456, dropout=0.4),
    "efficientnet_b6": Variant(width=1.8, depth=2.6, resolution=528, dropout=0.5),
    "efficientnet_b7": Variant(width=2.0, depth=3.1, resolution=600, dropout=0.5),
}
"""tensorflow/tpu models/official/efficientnet/efficientnet_builder.py."""

EFFICIENTNET_LITE_VARIANTS = {
    "efficientnet_lite0": Variant(width=1.0, depth=1.0, resolution=224, dropout=0.2),
    "efficientnet_lite1": Variant(width=1.0, depth=1.1, resolution=240, dropout=0.2),
    "efficientnet_lite2": Variant(width=1.1, depth=1.2, resolution=260, dropout=0.3),
    "efficientnet_lite3": Variant(width=1.2, depth=1.4, resolution=280, dropout=0.3),
    "efficientnet_lite4": Variant(width=1.4, depth=1.8, resolution=300, dropout=0.3),
}
"""tensorflow/tpu models/official/efficientnet/lite/efficientnet_lite_builder.py."""


def scale_rows(rows: tuple[MBConvRow, ...], scale: Scale) -> tuple[MBConvRow, ...]:
    """The table at another width and depth."""
    return tuple(
        row._replace(
            channels=round_channels(row.channels, scale.width),
            repeats=row.repeats if row.fixed_repeats else round_repeats(row.repeats, scale.depth),
        )
        for row in rows
    )


@lru_cache(maxsize=1 << 12, typed=True)  # a search meets the same scaled rows over and over
def _stage(row: MBConvRow, activation: ActivationKind) -> tuple[Unit, ...]:
    first = InvertedResidual(row.channels, row.expand, row.kernel, row.stride, activation, row.se_ratio)
    other = replace(first, stride=1)
    return repeated("blocks.", first, other, row.repeats)


def _network(
    rows: tuple[MBConvRow, ...],
    scale: Scale,
    *,
    ends_width: float,
    activation: ActivationKind,
    dropout: float,
) -> tuple[Unit, ...]:
    stem = round_channels(STEM_CHANNELS, ends_width)
    head = round_channels(HEAD_CHANNELS, ends_width)
    return (
        Unit("stem", ConvBlock(stem, kernel=3, stride=2, activation=activation)),
        *chain.from_iterable(_stage(row, activation) for row in scale_rows(rows, scale)),
        Unit("head", ConvBlock(head, kernel=1, stride=1, activation=activation)),
        Unit("classifier", Classifier(scale.num_classes, dropout)),
    )


def efficientnet(scale: Scale, dropout: float = 0.2) -> tuple[Unit, ...]:
    """EfficientNet with SiLU and squeeze-and-excitation; stem and head widen with the rest."""
    return _network(EFFICIENTNET, scale, ends_width=scale.width, activation="silu", dropout=dropout)


def efficientnet_lite(scale: Scale, dropout: float = 0.2) -> tuple[Unit, ...]:
    """EfficientNet-Lite with ReLU6; stem and head keep 32 and 1280 channels at every width."""
    return _network(EFFICIENTNET_LITE, scale, ends_width=1.0, activation="relu6", dropout=dropout)


_TORCHVISION = "pytorch/vision torchvision/models/efficientnet.py"
_TPU_LITE = "tensorflow/tpu models/official/efficientnet/lite/README.md"
_PUBLISHED = {
    "efficientnet_b0": Published(5_288_548, 77.692, _TORCHVISION, 93.532),
    "efficientnet_b1": Published(7_794_184, 79.838, _TORCHVISION, 94.934),
    "efficientnet_b2": Published(9_109_994, 80.608, _TORCHVISION, 95.310),
    "efficientnet_b3": Published(12_233_232),
    "efficientnet_b4": Published(19_341_616, 83.384, _TORCHVISION, 96.594),
    "efficientnet_b5": Published(30_389_784, 83.444, _TORCHVISION, 96.628),
    "efficientnet_b6": Published(43_040_704),
    "efficientnet_b7": Published(66_347_960, 84.122, _TORCHVISION, 96.908),
    "efficientnet_lite0": Published(4_652_008, 75.1, _TPU_LITE),
    "efficientnet_lite1": Published(5_416_680, 76.7, _TPU_LITE),
    "efficientnet_lite2": Published(6_092_072, 77.6, _TPU_LITE),
    "efficientnet_lite3": Published(8_197_096),
    "efficientnet_lite4": Published(13_006_568, 81.5, _TPU_LITE),
}


def _entry(
    name: str,
    family: str,
    year: int,
    variant: Variant,
    units: Callable[[Scale, float], tuple[Unit, ...]],
    convention: Convention,
) -> Entry:
    scale = Scale(width=variant.width, depth=variant.depth, resolution=variant.resolution)
    return Entry(
        family, year, scale, lambda given: units(given, variant.dropout), _PUBLISHED[name], convention
    )


ENTRIES = {
    name: _entry(name, "efficientnet", 2019, variant, efficientnet, TORCH)
    for name, variant in EFFICIENTNET_VARIANTS.items()
} | {
    name: _entry(name, "efficientnet_lite", 2020, variant, efficientnet_lite, TENSORFLOW)
    for name, variant in EFFICIENTNET_LITE_VARIANTS.items()
}
