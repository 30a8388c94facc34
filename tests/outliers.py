"""A network with one layer that int8 ruins, whatever else the quantizer does."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit.graph.run import GraphRunner
from edgekit.graph.values import array_of, required
from graphs import FloatArray, GraphBuilder

__all__ = ["RUINED", "ruined_network"]

RUINED = "ruined"
"""The layer that has to stay float."""


def ruined_network(
    shape: tuple[int, int, int] = (3, 24, 24), classes: int = 10, images: FloatArray | None = None
) -> ir.Model:
    """Convolutions and a classifier, with a multiplication by one constant for each channel on the way.

    The constant of one channel, which is always 0, is 10000; the others are about 1. Operands have one
    scale, and its step leaves nothing of the others. The result stays as it was. ``images`` ``[N, C, H, W]``
    have logits of mean 0, so that they belong to many classes.
    """
    b = GraphBuilder([1, *shape], seed=1)
    x = b.relu6(b.conv(b.image, 8, stride=2))
    gated = b.op("Relu", _with_silent_channel(b.conv(x, 8)))
    factors: FloatArray = 1 + 0.2 * b.normal(1, 8, 1, 1)
    factors[:, 0] = 10000
    x = b.conv(b.op("Mul", gated, factors, name=RUINED), 8)
    pooled = b.op("GlobalAveragePool", b.op("Relu", x))
    model = b.model(b.gemm(b.op("Flatten", pooled, axis=1), classes))
    if images is not None:
        _shift_bias(model.graph[-1], -GraphRunner(model).run(images)["logits"].mean(0))
    return model


def _with_silent_channel(convolved: ir.Value) -> ir.Value:
    """The convolution with a first channel that is never above 0."""
    node = convolved.producer()
    assert node is not None
    _shift_bias(node, np.where(np.arange(8) == 0, -100, 0))
    return convolved


def _shift_bias(node: ir.Node, shift: npt.NDArray[np.generic]) -> None:
    bias = required(node, 2)
    array = array_of(bias)
    assert array is not None
    shifted = array.astype(np.float32) + shift.astype(np.float32)
    bias.const_value = ir.tensor(shifted, name=bias.name)
