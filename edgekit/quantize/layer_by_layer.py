"""A float network's values for some images, one layer at a time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from edgekit.graph.run import GraphRunner
from edgekit.quantize.arithmetic import FloatArray
from edgekit.quantize.plan import Layer, Plan
from edgekit.quantize.reference import chunks

__all__ = ["LayerByLayer"]


class LayerByLayer:
    """Runs the layers of a plan in their order; values that no layer reads any more are let go.

    ``model``'s constants may change between layers. ``images`` are float32 ``[N, C, H, W]``.
    """

    def __init__(self, model: ir.Model, plan: Plan, images: FloatArray) -> None:
        self._model = model
        self._last_reader = {name: layer for layer in plan.layers for name in layer.inputs}
        self._values: dict[str, FloatArray] = {plan.input: images}

    @property
    def values(self) -> Mapping[str, FloatArray]:
        """What later layers read, by name."""
        return self._values

    def raw(self, layer: Layer) -> FloatArray:
        """The layer's output for all images before its fused clamp."""
        names = tuple(dict.fromkeys(layer.inputs))
        runner = GraphRunner(self._model, [layer.raw], inputs=names, num_threads=None)
        parts = zip(*(chunks(self._values[name]) for name in names), strict=True)
        return np.concatenate([runner.run(dict(zip(names, part, strict=True)))[layer.raw] for part in parts])

    def keep(self, layer: Layer, raw: FloatArray) -> None:
        """Hand ``raw`` to the layers that read it, behind the clamp."""
        self._values[layer.output] = raw.clip(*layer.bounds)
        for name in layer.inputs:
            if self._last_reader[name] is layer:
                self._values.pop(name, None)
