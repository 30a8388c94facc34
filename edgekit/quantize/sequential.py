"""Weights and biases, layer after layer, each corrected for the errors of all layers before it.

The quantized network is carried along in int8, one layer at a time, for a bounded number of
calibration images. Every layer's gain is brought back to the fp32 network's by its weights' scale, and its
mean output by its bias (Nagel et al., Data-Free Quantization, ICCV 2019, section 4.2, with empirical means).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit.graph.pair_sums import Pairs, pair_bounds, pair_scale, pairs_of
from edgekit.graph.qdq import QuantizedTensor
from edgekit.graph.values import array_of, required
from edgekit.quantize.arithmetic import (
    INT16_MAX,
    WEIGHT_MAX,
    ActivationParams,
    FloatArray,
    Int8Array,
    Int32Array,
    IntArray,
    bias_scale,
    by_channel,
    channel_mean,
    dequantize,
    quantize,
    quantize_bias,
    quantize_weight,
    scale_floor,
    weight_scale,
)
from edgekit.quantize.gains import output_gain
from edgekit.quantize.layer_by_layer import LayerByLayer, raw_parts
from edgekit.quantize.options import QuantizeOptions
from edgekit.quantize.output_rounding import round_by_output
from edgekit.quantize.parallel import in_order
from edgekit.quantize.plan import Layer, Plan
from edgekit.quantize.reference import chunks

__all__ = ["Constants", "quantize_constants"]

_Number = TypeVar("_Number", bound=np.generic)
Progress = Callable[[str, int, int], None]
Constants = dict[str, dict[int, QuantizedTensor]]
"""Integer constants by layer name and input index: int8 weights and operands, int32 biases."""

_HAVE_OPERANDS = frozenset(
    {"Add", "Sub", "Mul", "PRelu"}
)  # other layers' constants are shapes, bounds and pads


def quantize_constants(
    model: ir.Model,
    plan: Plan,
    params: Mapping[str, ActivationParams],
    images: FloatArray,
    means: Mapping[str, FloatArray],
    options: QuantizeOptions,
    progress: Progress | None = None,
) -> tuple[Constants, FloatArray]:
    """Integer constants of every layer, and the quantized network's logits on ``images``.

    ``params`` has the parameters of each of the plan's values. ``images`` is float32 NCHW; ``means`` are
    the fp32 network's over them (see :class:`~edgekit.quantize.reference.Reference`).
    """
    if not options.bias_correction:
        means = {}
    floats = None
    if options.gain_correction and options.bias_correction:  # which brings back the means that gains move
        floats = LayerByLayer(model, plan, next(chunks(images)))  # a factor of all channels needs no more
    walk = _Walk(model, plan, params, options, means, floats)
    state: dict[str, IntArray | FloatArray] = {plan.input: walk.held(plan.input, images)}
    for done, layer in enumerate(plan.layers, 1):
        state[layer.output] = walk.step(layer, state)
        for name in plan.finished(layer):
            del state[name]
        if progress is not None:
            progress("quantize", done, len(plan.layers))
    return walk.constants, walk.answer(state[plan.output])


class _Walk:
    """One pass through the network: a copy of it whose constants are replaced as layers are done."""

    def __init__(
        self,
        model: ir.Model,
        plan: Plan,
        params: Mapping[str, ActivationParams],
        options: QuantizeOptions,
        means: Mapping[str, FloatArray],
        floats: LayerByLayer | None,
    ) -> None:
        self._floats = floats
        self._model = model.clone()
        self._plan = plan
        self._nodes = {node.name: node for node in self._model.graph}
        self._params = params
        self._options = options
        self._means = means
        self.constants: Constants = {}

    def step(self, layer: Layer, state: Mapping[str, IntArray | FloatArray]) -> IntArray | FloatArray:
        """The layer's output for all images, with its constants quantized on the way."""
        count = len(state[layer.inputs[0]])
        expected = self._expected(layer)
        if layer.precision == "float":
            return _joined(count, (part.clip(*layer.bounds) for part in self._raw(layer, state)))
        if layer.is_weighted:
            return self._weighted(layer, state, expected)
        if layer.op_type in _HAVE_OPERANDS:
            for index in layer.constants:
                self._set_operand(layer, index)
        return _joined(count, map(partial(self._quantized, layer), self._raw(layer, state)))

    def held(self, name: str, reals: FloatArray) -> IntArray | FloatArray:
        """A value as the network holds it: in the integers of its own precision, or float."""
        params = self._plan.params_at(name, self._plan.precisions[name], self._params)
        return reals if params is None else quantize(reals, params)

    def reals(self, name: str, held: IntArray | FloatArray) -> FloatArray:
        """What a value stands for."""
        params = self._plan.params_at(name, self._plan.precisions[name], self._params)
        return cast(FloatArray, held) if params is None else dequantize(cast(IntArray, held), params)

    def answer(self, held: IntArray | FloatArray) -> FloatArray:
        """The network's output, which has the width of the network's ends whatever computes it."""
        plan = self._plan
        reals = self.reals(plan.output, held)
        if plan.precisions[plan.output] == plan.ends:
            return reals
        params = plan.params_at(plan.output, plan.ends, self._params)
        assert params is not None
        return dequantize(quantize(reals, params), params)

    def _read(self, layer: Layer, name: str, held: IntArray | FloatArray) -> FloatArray:
        """What a layer reads of a value: rounded once more where the layer is of another precision."""
        reals = self.reals(name, held)
        if layer.precision == self._plan.precisions[name]:
            return reals
        params = self._plan.params_at(name, layer.precision, self._params)
        return reals if params is None else dequantize(quantize(reals, params), params)

    def _expected(self, layer: Layer) -> FloatArray | None:
        """The fp32 network's output for the first images, where gains are corrected."""
        if self._floats is None:
            return None
        raw = self._floats.raw(layer)
        self._floats.keep(layer, raw)
        return raw

    def _weighted(
        self, layer: Layer, state: Mapping[str, IntArray | FloatArray], expected: FloatArray | None
    ) -> IntArray:
        inputs, source = self._integers(layer, state)
        weight, bias = self._array(layer, 1), self._array(layer, 2)
        pairs = self._pairs(layer, weight)
        scale = self._weight_scale(layer, weight, bias, source, pairs)
        limit = self._options.weight_limit
        integers, scale = self._round(layer, weight, scale, inputs, source, pairs)
        integers = integers.clip(-limit, limit)
        self._set(layer, 1, integers, scale)
        raw = list(self._raw(layer, state))
        gain = np.float32(1 if expected is None else output_gain(expected, raw[0]))
        scale = np.asarray(scale * gain)
        self._set(layer, 1, integers, scale)
        mean, steps = self._means.get(layer.raw), bias_scale(source.scale, scale)
        corrected = bias if mean is None else mean - gain * (_channel_mean(raw) - bias)
        # The products grew by the gain, the bias that they were summed up with did not.
        shift = by_channel(self._set(layer, 2, quantize_bias(corrected, steps), steps) - gain * bias, raw[0])
        outputs = partial(self._quantized, layer)
        return _joined(len(inputs), in_order(lambda part: outputs(gain * part + shift), raw))

    def _integers(
        self, layer: Layer, state: Mapping[str, IntArray | FloatArray]
    ) -> tuple[IntArray, ActivationParams]:
        """The integers that a weighted layer multiplies, and their parameters."""
        name = layer.inputs[0]
        params = self._plan.params_at(name, layer.precision, self._params)
        assert params is not None
        if layer.precision == self._plan.precisions[name]:
            return cast(IntArray, state[name]), params
        return quantize(self.reals(name, state[name]), params), params

    def _set_operand(self, layer: Layer, index: int) -> None:
        """A constant operand of the layer's own width: symmetric, one scale."""
        values = self._array(layer, index)
        scale = weight_scale(values, axis=None)
        if layer.precision == "int16":
            params = ActivationParams(float(scale * WEIGHT_MAX / INT16_MAX), 0, bits=16)
            self._set(layer, index, quantize(values, params), np.float32(params.scale))
        else:
            self._set(layer, index, quantize_weight(values, scale), scale)

    def _pairs(self, layer: Layer, weight: FloatArray) -> Pairs | None:
        """The weights whose products kernels may add up in 16 bits, where that is to fit."""
        if not self._options.pair_sums or layer.precision != "int8":
            return None
        return pairs_of(self._nodes[layer.name], weight)

    def _weight_scale(
        self,
        layer: Layer,
        weight: FloatArray,
        bias: FloatArray,
        source: ActivationParams,
        pairs: Pairs | None,
    ) -> FloatArray:
        options = self._options
        is_linear = layer.op_type == "Gemm" and not options.per_channel_linear
        per_tensor = options.per_tensor_weights or is_linear
        # The corrected bias is the fp32 mean less the products' mean, for which the floor leaves room.
        magnitude = np.maximum(np.abs(bias), np.abs(self._means.get(layer.raw, bias)))
        floor = scale_floor(magnitude, source.scale)
        if pairs is not None:
            floor = np.maximum(floor, pair_scale(weight.reshape(len(weight), -1), pairs))
        if per_tensor:
            floor = np.asarray(floor.max(initial=0), np.float32)
        widened = np.float32(WEIGHT_MAX / options.weight_limit)
        scale: FloatArray = np.maximum(weight_scale(weight, axis=None if per_tensor else 0) * widened, floor)
        return scale

    def _round(
        self,
        layer: Layer,
        weight: FloatArray,
        scale: FloatArray,
        inputs: IntArray,
        source: ActivationParams,
        pairs: Pairs | None,
    ) -> tuple[Int8Array, FloatArray]:
        """The weight's integers, and the scale that they take."""
        if self._options.rounding == "compensated":
            node = self._nodes[layer.name]
            found = round_by_output(node, weight, scale, inputs, source, self._options, pairs)
            if found is not None:
                return found
        integers = quantize_weight(weight, scale)
        if pairs is not None:
            rows = integers.reshape(len(integers), -1).astype(np.float32)
            integers = rows.clip(*pair_bounds(rows, pairs)).astype(np.int8).reshape(weight.shape)
        return integers, scale

    def _quantized(self, layer: Layer, raw: FloatArray) -> IntArray:
        """Outputs behind the fused clamp, beyond which a range shared with other values may reach."""
        params = self._plan.params_at(layer.output, layer.precision, self._params)
        assert params is not None
        low, high = quantize(np.asarray(layer.bounds, np.float32), params)
        integers = quantize(raw, params)
        return integers if (low, high) == (params.least, params.most) else integers.clip(low, high)

    def _raw(self, layer: Layer, state: Mapping[str, IntArray | FloatArray]) -> Iterator[FloatArray]:
        return raw_parts(self._model, layer, state, lambda name, part: self._read(layer, name, part))

    def _array(self, layer: Layer, index: int) -> FloatArray:
        array = array_of(required(self._nodes[layer.name], index))
        assert array is not None
        return array.astype(np.float32)

    def _set(
        self, layer: Layer, index: int, integers: IntArray | Int32Array, scale: FloatArray
    ) -> FloatArray:
        """Keep a constant's integers; the layer reads, and this returns, what they stand for."""
        kept = self.constants.setdefault(layer.name, {})
        dtype, axis = ir.DataType.from_numpy(integers.dtype), 0 if scale.ndim else None
        kept[index] = QuantizedTensor(scale, 0, dtype, axis, integers)
        shape = [-1] + [1] * (integers.ndim - 1) if scale.ndim else []
        reals: FloatArray = (integers * scale.astype(np.float64).reshape(shape)).astype(np.float32)
        value = ir.val(f"{layer.name}.{index}", const_value=ir.tensor(reals))
        self._nodes[layer.name].replace_input_with(index, value)
        return reals


def _channel_mean(parts: Sequence[FloatArray]) -> FloatArray:
    """Mean of each channel over consecutive parts of a batch."""
    counts = [len(part) for part in parts]
    mean: FloatArray = np.average([channel_mean(part) for part in parts], axis=0, weights=counts)
    return mean.astype(np.float32)


def _joined(count: int, parts: Iterable[npt.NDArray[_Number]]) -> npt.NDArray[_Number]:
    """``count`` rows from consecutive parts, without a second copy of them all."""
    whole, filled = None, 0
    for part in parts:
        if whole is None:
            whole = np.empty((count, *part.shape[1:]), part.dtype)
        whole[filled : filled + len(part)] = part
        filled += len(part)
    assert whole is not None
    return whole
