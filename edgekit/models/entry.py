"""What the zoo knows of one named network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgekit.models.network import TORCH, Convention, Unit
from edgekit.models.scale import Scale

__all__ = ["Entry", "Published"]


@dataclass(frozen=True)
class Published:
    """Facts from the literature. ``top1`` is percent on ImageNet-1k, None where no source is at hand."""

    params: int
    top1: float | None = None
    source: str = ""


@dataclass(frozen=True)
class Entry:
    """One zoo name: its family, its own scale, and the function that scales the family's table."""

    family: str
    scale: Scale
    units: Callable[[Scale], tuple[Unit, ...]]
    published: Published
    convention: Convention = TORCH
