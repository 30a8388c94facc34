"""Weights and biases, layer after layer, each corrected for the errors of all layers before it.

The quantized network is carried along in int8, one layer at a time, for a bounded number of
calibration images; every layer's mean output is moved back to the fp32 network's by its bias (Nagel
et al., Data-Free Quantization, ICCV 2019, section 4.2, with empirical means).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgekit.graph.run import GraphRunner
from edgekit.graph.subgraph import values_by_name
from edgekit.graph.values import array_of
from edgekit.quantize.arithmetic import (
    ActivationParams,
    FloatArray,
    Int8Array,
    Int32Array,
    bias_floor,
    dequantize,
    quantize,
    quantize_bias,
    quantize_weight,
    weight_scale,
)
from edgekit.quantize.options import QuantizeOptions
from edgekit.quantize.patches import sample_patches
from edgekit.quantize.plan import Layer, Plan
from edgekit.quantize.rounding import round_compensated, second_moments

__all__ = ["LayerConstants", "channel_means", "quantize_constants"]

Progress = Callable[[str, int, int], None]

_CHUNK = 8  # images that go through a layer at once
_ROWS_PER_INPUT = 8  # sampled patches for each weight of an output: enough for stable second moments
_MIN_ROWS, _MAX_ROWS = 1024, 8192


@dataclass(frozen=True)
class LayerConstants:
    """Integer constants of one layer.

    ``weight`` int8 in the canonical layout, ``scale`` float32 ``[channels]`` or ``[]``; ``bias`` int32
    ``[channels]`` at input × weight scale. Constants of elementwise layers have no bias.
    """

    index: int
    weight: Int8Array
    scale: FloatArray
    bias: Int32Array | None = None
    bias_scale: FloatArray | None = None


def channel_means(model: ir.Model, plan: Plan, images: FloatArray) -> dict[str, FloatArray]:
    """Mean of each weighted layer's raw output per channel, of the fp32 network over ``images`` (NCHW)."""
    names = [layer.raw for layer in plan.layers if layer.is_weighted]
    runner = GraphRunner(model, names, num_threads=None)
    sums: dict[str, FloatArray] = {}
    for chunk in _chunks(images):
        for name, values in runner.run(chunk).items():
            total = _channel_mean(values) * np.float32(len(chunk))
            sums[name] = sums[name] + total if name in sums else total
    return {name: total / np.float32(len(images)) for name, total in sums.items()}


def quantize_constants(
    model: ir.Model,
    plan: Plan,
    params: Mapping[str, ActivationParams],
    images: FloatArray,
    options: QuantizeOptions,
    progress: Progress | None = None,
) -> tuple[dict[str, tuple[LayerConstants, ...]], FloatArray]:
    """Integer constants of every layer by layer name, and the quantized network's logits on ``images``.

    ``params`` has the parameters of each of the plan's values. ``images`` is float32 NCHW.
    """
    means = channel_means(model, plan, images) if options.bias_correction else {}
    walk = _Walk(model, plan, params, options, means)
    state = {plan.inputs[0]: quantize(images, params[plan.inputs[0]])}
    readers = Counter(name for layer in plan.layers for name in layer.inputs)
    output = model.graph.outputs[0].name or ""
    for done, layer in enumerate(plan.layers):
        state[layer.output] = walk.step(layer, state)
        for name in layer.inputs:
            readers[name] -= 1
            if readers[name] == 0 and name != output:
                state.pop(name, None)
        if progress is not None:
            progress("quantize", done + 1, len(plan.layers))
    return walk.constants, dequantize(state[output], params[output])


class _Walk:
    """One pass through the network: a copy of it whose constants are replaced as layers are done."""

    def __init__(
        self,
        model: ir.Model,
        plan: Plan,
        params: Mapping[str, ActivationParams],
        options: QuantizeOptions,
        means: Mapping[str, FloatArray],
    ) -> None:
        self._model = model.clone()
        self._values = values_by_name(self._model)
        self._params = params
        self._options = options
        self._means = means
        self._seed = 0
        self.constants: dict[str, tuple[LayerConstants, ...]] = {}

    def step(self, layer: Layer, state: Mapping[str, Int8Array]) -> Int8Array:
        """The layer's int8 output for all images, with its constants quantized on the way."""
        if layer.is_weighted:
            return self._weighted(layer, state)
        self.constants[layer.name] = tuple(
            self._operand(i, name) for i, name in layer.constants.items() if self._is_operand(layer, i)
        )
        params = self._params[layer.output]
        return np.concatenate([quantize(y, params) for y in self._outputs(layer, state)])

    def _weighted(self, layer: Layer, state: Mapping[str, Int8Array]) -> Int8Array:
        source = self._params[layer.inputs[0]]
        weight, bias = (self._array(layer.constants[i]) for i in (1, 2))
        scale = self._weight_scale(layer, weight, bias, source)
        integers = self._round(layer, weight, scale, state[layer.inputs[0]])
        shape = [-1] + [1] * (weight.ndim - 1) if scale.ndim else []
        self._replace(layer.constants[1], integers.astype(np.float32) * scale.reshape(shape))
        raw = np.concatenate(list(self._outputs(layer, state)))
        if layer.raw in self._means:
            shift = self._means[layer.raw] - _channel_mean(raw)
            bias = bias + shift
            raw += shift.reshape([1, -1] + [1] * (raw.ndim - 2))
        steps = np.float32(source.scale) * scale
        self.constants[layer.name] = (
            LayerConstants(
                1,
                integers,
                scale,
                quantize_bias(bias, source.scale, scale),
                np.broadcast_to(steps, bias.shape),
            ),
        )
        return quantize(raw, self._params[layer.output])

    def _weight_scale(
        self, layer: Layer, weight: FloatArray, bias: FloatArray, source: ActivationParams
    ) -> FloatArray:
        per_tensor = layer.op_type == "Gemm" and not self._options.per_channel_linear
        floor = bias_floor(bias, source.scale) * np.float32(2)  # room for the bias correction
        if per_tensor:
            floor = np.asarray(floor.max(initial=0), np.float32)
        scale: FloatArray = np.maximum(weight_scale(weight, axis=None if per_tensor else 0), floor)
        return scale

    def _round(self, layer: Layer, weight: FloatArray, scale: FloatArray, inputs: Int8Array) -> Int8Array:
        if self._options.rounding == "nearest":
            return quantize_weight(weight, scale)
        node = self._values[layer.raw].producer()
        assert node is not None
        groups = node.attributes.get_int("group", 1)
        rows = weight.reshape(groups, weight.shape[0] // groups, -1)
        wanted = min(max(_ROWS_PER_INPUT * rows.shape[2], _MIN_ROWS), _MAX_ROWS)
        self._seed += 1
        patches = sample_patches(node, inputs, self._params[layer.inputs[0]], wanted, self._seed)
        scales = np.broadcast_to(scale, weight.shape[:1]).reshape(groups, -1)
        return round_compensated(rows, scales, second_moments(patches)).reshape(weight.shape)

    def _operand(self, index: int, name: str) -> LayerConstants:
        values = self._array(name)
        scale = weight_scale(values, axis=None)
        integers = quantize_weight(values, scale)
        self._replace(name, integers.astype(np.float32) * scale)
        return LayerConstants(index, integers, scale)

    def _is_operand(self, layer: Layer, index: int) -> bool:
        return layer.op_type in ("Add", "Sub", "Mul")

    def _outputs(self, layer: Layer, state: Mapping[str, Int8Array]) -> Iterator[FloatArray]:
        runner = GraphRunner(self._model, [layer.raw], inputs=layer.inputs, num_threads=None)
        for start in range(0, len(state[layer.inputs[0]]), _CHUNK):
            part = {n: dequantize(state[n][start : start + _CHUNK], self._params[n]) for n in layer.inputs}
            yield runner.run(part)[layer.raw]

    def _array(self, name: str) -> FloatArray:
        array = array_of(self._values[name])
        assert array is not None
        return array.astype(np.float32)

    def _replace(self, name: str, array: FloatArray) -> None:
        self._values[name].const_value = ir.tensor(array, name=name)


def _channel_mean(values: FloatArray) -> FloatArray:
    mean: FloatArray = values.mean(axis=(0, *range(2, values.ndim)), dtype=np.float64).astype(np.float32)
    return mean


def _chunks(images: FloatArray) -> Iterator[FloatArray]:
    for start in range(0, len(images), _CHUNK):
        yield images[start : start + _CHUNK]
