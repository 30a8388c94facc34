"""The zoo: every network that has a name.

A name is a family's table with the scale it was published at; ``network("mobilenet_v2",
width=0.75)`` is the same table at another one.
"""

from __future__ import annotations

import importlib

from edgekit.errors import InputError, UnknownNameError
from edgekit.models.entry import Entry
from edgekit.models.network import Network
from edgekit.models.scale import Scale, check_scale

__all__ = ["default_scale", "entry", "families", "family_of", "names", "network"]

_NAMES_OF = {
    "lenet": ("lenet5", "lenet5_28"),
    "alexnet": ("alexnet", "alexnet_two_towers", "zfnet"),
    "nin": ("nin",),
    "vgg": (
        "vgg11",
        "vgg11_bn",
        "vgg13",
        "vgg13_bn",
        "vgg16",
        "vgg16_bn",
        "vgg19",
        "vgg19_bn",
    ),
    "googlenet": ("googlenet",),
    "inception_v3": ("inception_v3",),
    "inception_v4": ("inception_v4", "inception_resnet_v2"),
    "xception": ("xception",),
    "cifar_resnet": ("cifar_plain20", "cifar_plain56", "cifar_resnet20", "cifar_resnet56"),
    "resnet": ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    "preact_resnet": ("preact_resnet50", "preact_resnet101", "wrn28_10"),
    "fractalnet": ("fractalnet20",),
    "densenet": ("densenet121", "densenet169", "densenet201"),
    "squeezenet": ("squeezenet1_0", "squeezenet1_0_bypass", "squeezenet1_1"),
    "mobilenet": ("mobilenet_v1", "mobilenet_v2"),
    "shufflenet_v2": (
        "shufflenet_v2_x0_5",
        "shufflenet_v2_x1_0",
        "shufflenet_v2_x1_5",
        "shufflenet_v2_x2_0",
    ),
    "mnasnet": ("mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3", "mnasnet_a1"),
    "mobilenet_v3": ("mobilenet_v3_large", "mobilenet_v3_small"),
    "efficientnet": (
        *(f"efficientnet_b{number}" for number in range(8)),
        *(f"efficientnet_lite{number}" for number in range(5)),
    ),
}
"""Module of this package → the names that its ``ENTRIES`` have, in the order of the papers."""

_ELSEWHERE = {
    "cifar_resnet110_stochastic_depth": "cifar_resnet",
    "wide_resnet50_2": "resnet",
    "resnext50_32x4d": "resnet",
    "se_googlenet": "googlenet",
    "se_inception_v3": "inception_v3",
    "se_resnet50": "resnet",
    "se_resnext50_32x4d": "resnet",
}
"""Names that belong to other papers than the table they are made from."""

_MODULES = {name: module for module, names in _NAMES_OF.items() for name in names} | _ELSEWHERE


def names(family: str | None = None) -> tuple[str, ...]:
    """All zoo names, or those of one family, in the order of the papers."""
    if family is None:
        return tuple(_MODULES)
    if family not in families():
        raise UnknownNameError("family", family, families())
    return tuple(name for name in _MODULES if family_of(name) == family)


def families() -> tuple[str, ...]:
    """The families that the names belong to."""
    return tuple(dict.fromkeys(family_of(name) for name in _MODULES))


def entry(name: str) -> Entry:
    """What is known of a zoo name; :class:`UnknownNameError` offers the nearest ones."""
    if name not in _MODULES:
        raise UnknownNameError("model", name, _MODULES)
    entries: dict[str, Entry] = importlib.import_module(f"edgekit.models.{_MODULES[name]}").ENTRIES
    return entries[name]


def family_of(name: str) -> str:
    """The family of a zoo name: ``efficientnet_lite`` for ``efficientnet_lite0``."""
    return entry(name).family


def default_scale(name: str) -> Scale:
    """The scale that a name was published at."""
    return entry(name).scale


def network(
    name: str,
    scale: Scale | None = None,
    *,
    width: float | None = None,
    depth: float | None = None,
    resolution: int | None = None,
    num_classes: int | None = None,
    in_channels: int | None = None,
) -> Network:
    """The network of a zoo name at ``scale``, by default its own; the keywords replace single fields.

    Raises :class:`UnknownNameError` for the name and :class:`InputError` for a scale that cannot be
    built: a resolution below what the strides allow, another depth where nothing repeats.
    """
    known = entry(name)
    start = scale or known.scale
    chosen = Scale(
        width=start.width if width is None else width,
        depth=start.depth if depth is None else depth,
        resolution=start.resolution if resolution is None else resolution,
        num_classes=start.num_classes if num_classes is None else num_classes,
        in_channels=start.in_channels if in_channels is None else in_channels,
    )
    check_scale(chosen)
    if chosen.depth != known.scale.depth and not known.has_depth:
        raise InputError(
            f"{name} has no depth to scale, depth is {chosen.depth:g}",
            hint="its blocks all differ: --width and --resolution scale it",
        )
    return Network(name, known.family, chosen, known.units(chosen), known.convention)
