"""Small networks of each kind, and small pictures that go through them."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.graph.run import GraphRunner
from graphs import NETWORKS, FloatArray, GraphBuilder

__all__ = ["SHAPE", "network", "pictures", "run"]

SHAPE = (3, 24, 24)


def network(name: str) -> ir.Model:
    """One of :data:`graphs.NETWORKS` for such a picture."""
    b = GraphBuilder([1, *SHAPE])
    return b.model(NETWORKS[name](b))


def pictures(count: int, seed: int = 0) -> FloatArray:
    """Smooth, as photographs are, so that inputs go together: ``[count, 1, 3, 24, 24]``."""
    white = np.random.default_rng(seed).standard_normal((count, 1, *SHAPE))
    return (np.cumsum(np.cumsum(white, axis=3), axis=4) / 24).astype(np.float32)


def run(model: ir.Model, images: FloatArray) -> FloatArray:
    """The logits ``[count, classes]``."""
    return GraphRunner(model).run(images[:, 0])["logits"].reshape(len(images), -1)
