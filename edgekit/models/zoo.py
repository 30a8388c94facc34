"""The zoo: every network that has a name.

A name is a family's table with the scale it was published at; ``network("mobilenet_v2",
width=0.75)`` is the same table at another one.
"""

from __future__ import annotations

import importlib

from edgekit.errors import UnknownNameError
from edgekit.models.entry import Entry
from edgekit.models.network import Network
from edgekit.models.scale import Scale, check_scale

__all__ = ["default_scale", "entry", "families", "family_of", "names", "network"]

_MOBILENET = "edgekit.models.mobilenet"
_EFFICIENTNET = "edgekit.models.efficientnet"
_SQUEEZENET = "edgekit.models.squeezenet"
_MODULES = {
    "mobilenet_v1": _MOBILENET,
    "mobilenet_v2": _MOBILENET,
    "efficientnet_b0": _EFFICIENTNET,
    "efficientnet_b1": _EFFICIENTNET,
    "efficientnet_b2": _EFFICIENTNET,
    "efficientnet_b3": _EFFICIENTNET,
    "efficientnet_b4": _EFFICIENTNET,
    "efficientnet_b5": _EFFICIENTNET,
    "efficientnet_b6": _EFFICIENTNET,
    "efficientnet_b7": _EFFICIENTNET,
    "efficientnet_lite0": _EFFICIENTNET,
    "efficientnet_lite1": _EFFICIENTNET,
    "efficientnet_lite2": _EFFICIENTNET,
    "efficientnet_lite3": _EFFICIENTNET,
    "efficientnet_lite4": _EFFICIENTNET,
    "squeezenet1_0": _SQUEEZENET,
    "squeezenet1_1": _SQUEEZENET,
}


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
    entries: dict[str, Entry] = importlib.import_module(_MODULES[name]).ENTRIES
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
    built, such as a resolution below what the strides allow.
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
    return Network(name, known.family, chosen, known.units(chosen), known.convention)
