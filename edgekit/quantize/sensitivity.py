"""How much of a quantized network's error each layer makes: each alone quantized, the rest in float.

Two errors are told apart, because different layers have to stay float to avoid them: that of a layer's
weights, which goes when the layer is float, and that of rounding its output, which goes when the layer and
everything that reads it are. Quantization errors of different layers are nearly independent, so their
powers at the logits add up, and the power of what remains predicts any choice of layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgekit.graph import qdq
from edgekit.graph.count import count
from edgekit.graph.run import GraphRunner
from edgekit.graph.subgraph import extract_subgraph, values_by_name
from edgekit.graph.values import add_initializer
from edgekit.quantize.arithmetic import (
    ActivationParams,
    FloatArray,
    by_channel,
    channel_mean,
    dequantize,
    quantize,
)
from edgekit.quantize.plan import Layer, Plan

__all__ = ["LayerSensitivity", "analyze"]

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class LayerSensitivity:
    """What quantizing one layer does to the logits, as noise power divided by the logits' power.

    ``weight_noise`` is due to the integer weights, or other constants, with the shift of each channel's
    mean taken out, which a bias corrects; ``output_noise`` to rounding the output. ``macs`` are the layer's
    multiply-adds.
    """

    name: str
    op_type: str
    weight_noise: float
    output_noise: float
    macs: int

    @property
    def noise(self) -> float:
        """Power of both errors together."""
        return self.weight_noise + self.output_noise

    @property
    def sqnr_db(self) -> float:
        """Signal-to-quantization-noise ratio of the logits in dB with this layer alone quantized."""
        return -10 * math.log10(self.noise) if self.noise > 0 else math.inf


def analyze(
    model: ir.Model,
    quantized: ir.Model,
    plan: Plan,
    images: FloatArray,
    progress: Progress | None = None,
) -> tuple[LayerSensitivity, ...]:
    """Sensitivity of every layer of ``plan``, in order of execution.

    ``quantized`` is the quantized graph of the canonical fp32 graph ``model``, whose integers and
    parameters are tried one layer at a time on ``images``, float32 NCHW. Each layer runs once; behind it,
    what follows runs once for each error. A few images rank layers as well as many.
    """
    network = _Network(model, quantized, plan)
    macs = {layer.name: layer.macs for layer in count(model).layers}
    state: dict[str, FloatArray] = {plan.input: images}
    logits = GraphRunner(model, num_threads=None).run(images)[plan.output]
    found = []
    for i, layer in enumerate(plan.layers):
        output, variants = network.run(layer, state)
        state = {name: held for name, held in state.items() if plan.last_readers[name] > i}
        state[layer.output] = output
        noise = network.noise(layer, variants, state, logits)
        found.append(LayerSensitivity(layer.name, layer.op_type, *noise, macs.get(layer.name, 0)))
        if progress is not None:
            progress("sensitivity", i + 1, len(plan.layers))
    return tuple(found)


_Variants = tuple[FloatArray | None, FloatArray | None]


class _Network:
    """The fp32 graph, and the integers that stand for its constants and values in the quantized one."""

    def __init__(self, model: ir.Model, quantized: ir.Model, plan: Plan) -> None:
        self._model = model
        self._plan = plan
        self._nodes = {node.name: node for node in quantized.graph}
        self._values = values_by_name(quantized)
        self._result = quantized.graph.outputs[0]

    def run(self, layer: Layer, state: Mapping[str, FloatArray]) -> tuple[FloatArray, _Variants]:
        """The layer's float output; the same with integer weights, and rounded, if that changes anything."""
        feeds = {name: state[name] for name in layer.inputs}
        raw = _run(self._model, layer, feeds)
        output = raw.clip(*layer.bounds)
        params = None if layer.is_copy else self._params(layer.output)
        rounded = None if params is None else dequantize(quantize(output, params), params)
        weighted = self._with_integer_constants(layer, feeds, raw)
        return output, (weighted, rounded)

    def _with_integer_constants(
        self, layer: Layer, feeds: Mapping[str, FloatArray], raw: FloatArray
    ) -> FloatArray | None:
        constants = {index: self._stored(layer, index) for index in layer.constants}
        changed = {index: array for index, array in constants.items() if array is not None}
        if not changed:
            return None
        answer = _run(self._model, layer, feeds, changed)
        shift = by_channel(channel_mean(answer - raw), raw)
        return (answer - shift).clip(*layer.bounds)

    def _stored(self, layer: Layer, index: int) -> FloatArray | None:
        """What the integers of a constant stand for; None for a bias, which makes no error of its own."""
        found = qdq.dequantized_constant(self._nodes[layer.name].inputs[index])
        if found is None or found.values is None or (layer.is_weighted and index != 1):
            return None
        scale = found.scale.reshape([-1] + [1] * (found.values.ndim - 1)) if found.scale.ndim else found.scale
        return (found.values * scale).astype(np.float32)

    def _params(self, name: str) -> ActivationParams | None:
        """Parameters that the quantized graph gives the value, if any."""
        dequantized: ir.Value | None = self._result
        if name != self._plan.output:
            readers = [use.node for use in self._values[name].uses() if use.node.op_type == "QuantizeLinear"]
            dequantized = next(iter(readers[0].outputs[0].uses())).node.outputs[0] if readers else None
        found = qdq.dequantized_from(dequantized)
        if found is None:
            return None
        return ActivationParams(
            float(found.scale), found.zero_point, 16 if found.dtype == ir.DataType.INT16 else 8
        )

    def noise(
        self,
        layer: Layer,
        variants: _Variants,
        state: Mapping[str, FloatArray],
        logits: FloatArray,
    ) -> tuple[float, float]:
        """Power of each variant's error at the logits, divided by the logits' own."""
        given = [variant for variant in variants if variant is not None]
        if not given:
            return 0.0, 0.0
        feeds = {name: np.concatenate([held] * len(given)) for name, held in state.items()}
        feeds[layer.output] = np.concatenate(given)
        runner = GraphRunner(self._model, [self._plan.output], inputs=tuple(feeds), num_threads=None)
        answers = iter(np.split(runner.run(feeds)[self._plan.output], len(given)))
        weights, rounding = (0.0 if one is None else _power(next(answers) - logits) for one in variants)
        signal = max(_power(logits), np.finfo(np.float32).tiny)
        return weights / signal, rounding / signal


def _run(
    model: ir.Model,
    layer: Layer,
    feeds: Mapping[str, FloatArray],
    constants: Mapping[int, FloatArray] | None = None,
) -> FloatArray:
    """The layer's raw output, with other constants where some are given, by their input's index."""
    part = extract_subgraph(model, list(feeds), [layer.raw])
    node = next(node for node in part.graph if node.name == layer.name)
    for index, array in (constants or {}).items():
        node.replace_input_with(index, add_initializer(part.graph, f"{layer.name}.changed{index}", array))
    return GraphRunner(part, num_threads=None).run(feeds)[layer.raw]


def _power(values: FloatArray) -> float:
    return float(np.mean(np.square(values, dtype=np.float64)))
