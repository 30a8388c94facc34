"""A float network's values for some images, one layer at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import cast

import numpy as np
import onnx_ir as ir

from edgekit.graph.run import GraphRunner
from edgekit.quantize.arithmetic import FloatArray, IntArray
from edgekit.quantize.parallel import in_order
from edgekit.quantize.plan import Layer, Plan
from edgekit.quantize.reference import chunks

__all__ = ["LayerByLayer", "raw_parts"]


def raw_parts(
    model: ir.Model,
    layer: Layer,
    values: Mapping[str, IntArray | FloatArray],
    read: Callable[[str, IntArray | FloatArray], FloatArray],
) -> Iterator[FloatArray]:
    """The layer's output before its fused clamp, for a few images after the other.

    ``values`` are its inputs for all images, by name; ``read`` gives what it reads of a part of one.
    """
    names = tuple(dict.fromkeys(layer.inputs))
    runner = GraphRunner(model, [layer.raw], inputs=names)

    def run(parts: tuple[IntArray | FloatArray, ...]) -> FloatArray:
        feeds = {name: read(name, part) for name, part in zip(names, parts, strict=True)}
        return runner.run(feeds)[layer.raw]

    return in_order(run, zip(*(chunks(values[name]) for name in names), strict=True))


class LayerByLayer:
    """Runs the layers of a plan in their order; values that no layer reads any more are let go.

    ``model``'s constants may change between layers. ``images`` are float32 ``[N, C, H, W]``.
    """

    def __init__(self, model: ir.Model, plan: Plan, images: FloatArray) -> None:
        self._model = model
        self._plan = plan
        self._values: dict[str, FloatArray] = {plan.input: images}

    @property
    def values(self) -> Mapping[str, FloatArray]:
        """What later layers read, by name."""
        return self._values

    def raw(self, layer: Layer) -> FloatArray:
        """The layer's output for all images before its fused clamp."""
        parts = raw_parts(self._model, layer, self._values, lambda _, part: cast(FloatArray, part))
        return np.concatenate(list(parts))

    def keep(self, layer: Layer, raw: FloatArray) -> None:
        """Hand ``raw`` to the layers that read it, behind the clamp."""
        self._values[layer.output] = raw.clip(*layer.bounds)
        for name in self._plan.finished(layer):
            del self._values[name]
