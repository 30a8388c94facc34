"""A library's naming of weights, and what all such namings are written with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from edgekit.models.network import Network, PlacedBlock

__all__ = ["Keys", "Layout", "has_layer", "joined", "numbered", "places"]

Keys = frozenset[str]


@dataclass(frozen=True)
class Layout:
    """One naming. ``signature`` is a key that only its checkpoints have; ``layers`` gives, for a
    network and the keys of a checkpoint, our layer → its layer. Keys that begin with one of ``ignored``
    belong to what only training has."""

    name: str
    signature: str
    layers: Callable[[Network, Keys], dict[str, str]]
    ignored: tuple[str, ...] = ()


def numbered(network: Network, name: str = "blocks.") -> Iterator[PlacedBlock]:
    """The blocks that are numbered under ``name``, ``blocks.0`` and so on."""
    return (block for block in network.blocks() if block.name.startswith(name))


def has_layer(block: PlacedBlock, name: str) -> bool:
    """Whether the block has a layer of that name."""
    return any(layer.out.name == name for layer in block.site.structure.layers)


def joined(ours: str, theirs: str, names: Mapping[str, str]) -> dict[str, str]:
    """``names`` inside a block that is ``ours`` here and ``theirs`` there."""
    return {f"{ours}.{layer}": f"{theirs}.{other}" for layer, other in names.items()}


def places(keys: Iterable[str], pattern: str) -> list[str]:
    """Prefixes that match ``pattern``, whose groups are the numbers of stage and block, in their order."""
    found = {match[0]: tuple(map(int, match.groups())) for key in keys if (match := re.match(pattern, key))}
    return sorted(found, key=lambda prefix: found[prefix])
