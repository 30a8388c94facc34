"""Editing the channels of a network's layers without changing what the network computes.

The stages that condition a graph for int8 (:mod:`edgekit.quantize.conditioning`) all move numbers from a
layer's outgoing channels to the weights and biases of whoever reads them. This is the graph as they see it:
layers, who reads whom, constants as arrays, and the range that every channel was seen in.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgekit.graph.run import GraphRunner
from edgekit.graph.subgraph import values_by_name
from edgekit.graph.values import add_initializer, array_of, required, shape_of
from edgekit.quantize.arithmetic import FloatArray
from edgekit.quantize.observers import check_finite
from edgekit.quantize.parallel import in_order
from edgekit.quantize.plan import Layer, Plan

__all__ = ["BOUND_HEADROOM", "ChannelGraph", "ChannelRange", "measure_channels"]

BOUND_HEADROOM = 4.0
"""Times the largest number seen up to which bounds on a layer's output hold."""

_HELD_BYTES = 64 << 20  # of values that are measured together


@dataclass(frozen=True)
class ChannelRange:
    """Smallest and largest number of each channel of a value, float32 ``[channels]``."""

    low: FloatArray
    high: FloatArray

    @property
    def reach(self) -> FloatArray:
        """Largest magnitude of each channel."""
        reach: FloatArray = np.maximum(np.abs(self.low), np.abs(self.high))
        return reach


def measure_channels(model: ir.Model, plan: Plan, images: Iterable[FloatArray]) -> dict[str, ChannelRange]:
    """Ranges of the channels of every value with channels, over fp32 ``images`` ``[1, C, H, W]``.

    The network runs in stretches, so that memory holds few layers' outputs of one image. Raises
    :class:`~edgekit.errors.InputError` naming a value that is not finite.
    """
    values = values_by_name(model)
    names = [name for name in plan.values if len(shape_of(values[name])) >= 2]
    stretches = list(_stretches(names, {name: 4 * math.prod(shape_of(values[name])) for name in names}))
    runners = [GraphRunner(model, stretch) for stretch in stretches]

    def measure(image: FloatArray) -> dict[str, ChannelRange]:
        return {name: _range(array) for runner in runners for name, array in runner.run(image).items()}

    ranges: dict[str, ChannelRange] = {}
    for found in in_order(measure, images):
        for name, seen in found.items():
            check_finite(name, float(seen.low.min()), float(seen.high.max()))
            ranges[name] = _union(ranges.get(name, seen), seen)
    return ranges


def _stretches(names: Sequence[str], sizes: Mapping[str, int]) -> Iterable[list[str]]:
    stretch: list[str] = []
    for name in names:
        if stretch and sum(sizes[one] for one in stretch) + sizes[name] > _HELD_BYTES:
            yield stretch
            stretch = []
        stretch.append(name)
    yield stretch


def _range(array: FloatArray) -> ChannelRange:
    axes = (0, *range(2, array.ndim))
    return ChannelRange(array.min(axis=axes), array.max(axis=axes))


def _union(one: ChannelRange, other: ChannelRange) -> ChannelRange:
    return ChannelRange(np.minimum(one.low, other.low), np.maximum(one.high, other.high))


class ChannelGraph:
    """A copy of a canonical graph whose weighted layers can be edited channel by channel.

    Only layers of int8 are editable: what stays float gains nothing. ``ranges`` follow every edit.
    """

    def __init__(self, model: ir.Model, plan: Plan, ranges: Mapping[str, ChannelRange]) -> None:
        self.model = model.clone()
        self.plan = plan
        self.ranges = dict(ranges)
        self._nodes = {node.name or "": node for node in self.model.graph}
        self._producers = {layer.output: layer for layer in plan.layers}
        self._readers: dict[str, list[Layer]] = {}
        for layer in plan.layers:
            for name in dict.fromkeys(layer.inputs):
                self._readers.setdefault(name, []).append(layer)

    def producer(self, name: str) -> Layer | None:
        """The layer that makes a value; None for the graph's input."""
        return self._producers.get(name)

    def readers(self, name: str) -> list[Layer]:
        """The layers that read a value, each once."""
        return self._readers.get(name, [])

    def only_reader(self, name: str) -> Layer | None:
        """The single layer that reads a value that the graph does not return, else None."""
        readers = self.readers(name)
        return readers[0] if len(readers) == 1 and name != self.plan.output else None

    def is_convolution(self, layer: Layer | None) -> bool:
        """Whether it is an editable convolution."""
        return layer is not None and layer.op_type == "Conv" and layer.precision == "int8"

    def groups(self, layer: Layer) -> int:
        """Groups of a convolution."""
        return self._nodes[layer.name].attributes.get_int("group", 1)

    def is_depthwise(self, layer: Layer) -> bool:
        """Whether each channel is filtered by itself, into one channel."""
        weight = self.weight(layer)
        return bool(weight.shape[1] == 1 and self.groups(layer) == weight.shape[0])

    def is_padded(self, layer: Layer) -> bool:
        """Whether zeros are read beyond the borders."""
        return any(self._nodes[layer.name].attributes["pads"].as_ints())

    def weight(self, layer: Layer) -> FloatArray:
        """A copy of the weight, OIHW."""
        return self._constant(layer, 1)

    def bias(self, layer: Layer) -> FloatArray:
        """A copy of the bias, ``[channels]``."""
        return self._constant(layer, 2)

    def set_constants(self, layer: Layer, weight: FloatArray, bias: FloatArray) -> None:
        """Give the layer, and nobody else, this weight and bias."""
        node = self._nodes[layer.name]
        for index, array in ((1, weight), (2, bias)):
            old = required(node, index)
            name = f"{layer.name}.{'weight' if index == 1 else 'bias'}"
            node.replace_input_with(index, add_initializer(self.model.graph, name, array.astype(np.float32)))
            if not old.uses() and old.name is not None and old.name in self.model.graph.initializers:
                self.model.graph.initializers.pop(old.name)

    def most(self, layer: Layer) -> FloatArray:
        """Bound on the numbers of a convolution's channels before its clamp, by its weights' magnitudes.

        It holds for inputs up to four times the largest that was seen.
        """
        reach = BOUND_HEADROOM * float(self.ranges[layer.inputs[0]].reach.max())
        weight = np.abs(self.weight(layer)).sum(axis=(1, 2, 3), dtype=np.float64)
        most: FloatArray = (weight * reach + self.bias(layer)).astype(np.float32)
        return most

    def scale_output(self, layer: Layer, factors: FloatArray) -> None:
        """Multiply the outgoing channels; clamps are the caller's care."""
        weight = self.weight(layer) * factors.reshape(-1, 1, 1, 1)
        self.set_constants(layer, weight, self.bias(layer) * factors)

    def shift_output(self, layer: Layer, shift: FloatArray) -> None:
        """Take ``shift`` from the outgoing channels."""
        self.set_constants(layer, self.weight(layer), self.bias(layer) - shift)

    def divide_input(self, layer: Layer, factors: FloatArray) -> None:
        """Undo factors of the channels that a convolution reads."""
        self.set_constants(layer, self.weight(layer) / self._by_input(layer, factors), self.bias(layer))

    def add_to_input(self, layer: Layer, shift: FloatArray) -> None:
        """Undo what was taken from the channels that a convolution without padding reads."""
        weight = self.weight(layer)
        added = (weight * self._by_input(layer, shift)).sum(axis=(1, 2, 3), dtype=np.float64)
        self.set_constants(layer, weight, (self.bias(layer) + added).astype(np.float32))

    def _by_input(self, layer: Layer, numbers: FloatArray) -> FloatArray:
        """A number of each incoming channel, shaped to broadcast over the weight ``[O, I/groups, …]``."""
        groups = self.groups(layer)
        outputs, inputs = self.weight(layer).shape[:2]
        spread = np.repeat(numbers.reshape(groups, inputs), outputs // groups, axis=0)
        shaped: FloatArray = spread.reshape(outputs, inputs, 1, 1).astype(np.float32)
        return shaped

    def _constant(self, layer: Layer, index: int) -> FloatArray:
        array = array_of(required(self._nodes[layer.name], index))
        assert array is not None
        return array.astype(np.float32)
