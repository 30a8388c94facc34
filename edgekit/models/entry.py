"""What the zoo knows of one named network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgekit.models.network import TORCH, Convention, Unit
from edgekit.models.scale import Scale

__all__ = ["IMAGENET", "Entry", "Published"]

IMAGENET = "ImageNet-1k"


@dataclass(frozen=True)
class Published:
    """Facts from the literature: learnable ``params``, and accuracy in percent on ``dataset``.

    None where no source is at hand; ``source`` is that of the accuracy, on central crops of one size.
    """

    params: int | None = None
    top1: float | None = None
    source: str = ""
    top5: float | None = None
    dataset: str = IMAGENET


@dataclass(frozen=True)
class Entry:
    """One zoo name: its family, its own scale, and the function that scales the family's table.

    ``year`` is that of the paper. ``has_depth``: a depth multiplier repeats some of the blocks.
    """

    family: str
    year: int
    scale: Scale
    units: Callable[[Scale], tuple[Unit, ...]]
    published: Published
    convention: Convention = TORCH
    has_depth: bool = True
