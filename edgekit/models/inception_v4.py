"""Inception-v4 and Inception-ResNet-v2.

Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning (arXiv 1602.07261), as
TensorFlow's weights have them. Width multiplies every channel count but the classes; depth multiplies the
modules of every size, rounded up.
"""

from __future__ import annotations

from edgekit.models.blocks import Classifier, ConvBlock
from edgekit.models.branches import Branch, Branches, C, Fork, P, ScaledResidual, scaled
from edgekit.models.entry import Entry, Published
from edgekit.models.inception_v3 import stem
from edgekit.models.network import PORTED, Unit
from edgekit.models.scale import Scale, round_channels, round_repeats

__all__ = ["ENTRIES", "RESNET_V2", "V4", "inception_resnet_v2", "inception_v4"]

_WIDE, _TALL = (1, 7), (7, 1)
_AVG = P("avg", counts_padding=False)

_V4_STEM: tuple[tuple[Branch, ...], ...] = (
    ((P("max", 2),), (C(96, 3, 2, valid=True),)),
    (
        (C(64), C(96, 3, valid=True)),
        (C(64), C(64, _WIDE), C(64, _TALL), C(96, 3, valid=True)),
    ),
    ((C(192, 3, 2, valid=True),), (P("max", 2),)),
)
"""Figure 3, behind its first three convolutions."""

_V4_A: tuple[Branch, ...] = (
    (C(96),),
    (C(64), C(96, 3)),
    (C(64), C(96, 3), C(96, 3)),
    (_AVG, C(96)),
)
_V4_REDUCE_35: tuple[Branch, ...] = (
    (C(384, 3, 2, valid=True),),
    (C(192), C(224, 3), C(256, 3, 2, valid=True)),
    (P("max", 2),),
)
_V4_B: tuple[Branch, ...] = (
    (C(384),),
    (C(192), C(224, _WIDE), C(256, _TALL)),
    (C(192), C(192, _TALL), C(224, _WIDE), C(224, _TALL), C(256, _WIDE)),
    (_AVG, C(128)),
)
_V4_REDUCE_17: tuple[Branch, ...] = (
    (C(192), C(192, 3, 2, valid=True)),
    (C(256), C(256, _WIDE), C(320, _TALL), C(320, 3, 2, valid=True)),
    (P("max", 2),),
)
_V4_C: tuple[Branch, ...] = (
    (C(256),),
    (C(384), Fork(C(256, (1, 3)), C(256, (3, 1)))),
    (C(384), C(448, (3, 1)), C(512, (1, 3)), Fork(C(256, (1, 3)), C(256, (3, 1)))),
    (_AVG, C(256)),
)
V4: tuple[tuple[tuple[Branch, ...], int], ...] = (
    *((table, 1) for table in _V4_STEM),
    (_V4_A, 4),
    (_V4_REDUCE_35, 1),
    (_V4_B, 7),
    (_V4_REDUCE_17, 1),
    (_V4_C, 3),
)
"""Figure 9: modules of figures 3 to 8, and how often they stand in a row."""

_V4_CONVS = (32, 32, 64)
_V4_DROPOUT = 0.2

_R2_MIXED: tuple[Branch, ...] = (
    (C(96),),
    (C(48), C(64, 5)),
    (C(64), C(96, 3), C(96, 3)),
    (_AVG, C(64)),
)
_R2_A: tuple[Branch, ...] = ((C(32),), (C(32), C(32, 3)), (C(32), C(48, 3), C(64, 3)))
_R2_REDUCE_35: tuple[Branch, ...] = (
    (C(384, 3, 2, valid=True),),
    (C(256), C(256, 3), C(384, 3, 2, valid=True)),
    (P("max", 2),),
)
_R2_B: tuple[Branch, ...] = ((C(192),), (C(128), C(160, _WIDE), C(192, _TALL)))
_R2_REDUCE_17: tuple[Branch, ...] = (
    (C(256), C(384, 3, 2, valid=True)),
    (C(256), C(288, 3, 2, valid=True)),
    (C(256), C(288, 3), C(320, 3, 2, valid=True)),
    (P("max", 2),),
)
_R2_C: tuple[Branch, ...] = ((C(192),), (C(192), C(224, (1, 3)), C(256, (3, 1))))
RESNET_V2: tuple[tuple[tuple[Branch, ...], int, float], ...] = (
    (_R2_MIXED, 1, 0.0),
    (_R2_A, 10, 0.17),
    (_R2_REDUCE_35, 1, 0.0),
    (_R2_B, 20, 0.10),
    (_R2_REDUCE_17, 1, 0.0),
    (_R2_C, 9, 0.20),
)
"""Figure 15: modules of figures 16 to 19, how often, and by what a residual one is scaled (0: it is none)."""

_R2_HEAD = 1536
_R2_DROPOUT = 0.2


def inception_v4(scale: Scale) -> tuple[Unit, ...]:
    """Inception-v4."""
    first, *others = (round_channels(channels, scale.width) for channels in _V4_CONVS)
    units = [
        Unit("stem", ConvBlock(first, 3, 2, "relu", padded=False)),
        Unit("convs.", ConvBlock(others[0], 3, 1, "relu", padded=False)),
        Unit("convs.", ConvBlock(others[1], 3, 1, "relu")),
    ]
    for table, repeats in V4:
        many = round_repeats(repeats, scale.depth) if repeats > 1 else 1
        units.append(Unit("blocks.", Branches(scaled(table, scale.width)), many))
    return (*units, Unit("classifier", Classifier(scale.num_classes, _V4_DROPOUT)))


def inception_resnet_v2(scale: Scale) -> tuple[Unit, ...]:
    """Inception-ResNet-v2: the last residual module is neither scaled nor activated."""
    units = list(stem(scale))
    for table, repeats, factor in RESNET_V2:
        module = Branches(scaled(table, scale.width))
        if factor:
            block = ScaledResidual(module, factor)
            units.append(Unit("blocks.", block, round_repeats(repeats, scale.depth)))
        else:
            units.append(Unit("blocks.", module))
    last = ScaledResidual(Branches(scaled(_R2_C, scale.width)), 1.0, activates=False)
    head = round_channels(_R2_HEAD, scale.width)
    return (
        *units,
        Unit("blocks.", last),
        Unit("head", ConvBlock(head, kernel=1, stride=1, activation="relu")),
        Unit("classifier", Classifier(scale.num_classes, _R2_DROPOUT)),
    )


_TIMM = "huggingface/pytorch-image-models results/"
ENTRIES = {
    "inception_v4": Entry(
        "inception",
        2016,
        Scale(resolution=299),
        inception_v4,
        Published(42_679_816, 80.144, _TIMM, 94.982),
        PORTED,
    ),
    "inception_resnet_v2": Entry(
        "inception_resnet",
        2016,
        Scale(resolution=299),
        inception_resnet_v2,
        Published(55_843_464, 80.434, _TIMM, 95.312),
        PORTED,
    ),
}
