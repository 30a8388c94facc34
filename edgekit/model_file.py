"""``model.toml``: a network of the zoo at one scale, as text that a person can read and keep.

::

    schema = 1
    model = "mobilenet_v2"
    width = 0.75
    depth = 1.0
    resolution = 160
    num_classes = 1000
    in_channels = 3
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from edgekit.files import write_atomically
from edgekit.options import Scale
from edgekit.resources import read_toml

__all__ = ["ModelFile", "read", "write"]


class ModelFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file's content; ``model`` is a name of the zoo, the rest is its :class:`Scale`."""

    schema: Literal[1] = 1
    model: str
    width: float
    depth: float
    resolution: int
    num_classes: int
    in_channels: int

    @property
    def scale(self) -> Scale:
        return Scale(self.width, self.depth, self.resolution, self.num_classes, self.in_channels)


def read(path: Path) -> ModelFile:
    """Read a ``model.toml``. Raises InputError, naming the key, for one that cannot be used."""
    return read_toml(path, ModelFile)


def write(path: Path, model: str, scale: Scale) -> None:
    """Write ``model`` at ``scale`` to ``path``. Raises OutputError."""
    write_atomically(path, msgspec.toml.encode(ModelFile(model=model, **vars(scale))))
