"""Small models as files, and folders of small images, for tests that go through the whole library."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx_ir as ir
from PIL import Image

from graphs import NETWORKS, GraphBuilder

__all__ = ["CLASSES", "SIZE", "save_images", "save_onnx"]

SIZE = 24
"""Height and width in pixels that the models take."""

CLASSES = 10


def save_onnx(path: Path, network: str = "plain", seed: int = 0, channels: int = 3) -> Path:
    """One of :data:`graphs.NETWORKS` as an ``.onnx`` file."""
    builder = GraphBuilder((1, channels, SIZE, SIZE), seed)
    ir.save(builder.model(NETWORKS[network](builder)), path)
    return path


def save_images(folder: Path, labels: Iterable[int], size: int = 32, seed: int = 0) -> Path:
    """Seeded noise on seeded colors, one PNG for each label, named ``0003_7.png`` for the class 3."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for index, label in enumerate(labels):
        color = random.integers(0, 256, (1, 1, 3))
        pixels = np.clip(color + random.normal(0, 40, (size, size, 3)), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{label:04}_{index}.png")
    return folder
