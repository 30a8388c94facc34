"""The kinds of work that a network's latency is made of, without torch.

Each is a sum over the layers and linear in the areas inside a block, so a block is looked at once for its
channels. All grow with width, depth and resolution; with non-negative prices so does the latency.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from operator import mul

from edgekit.models.cost import activation_itemsize, weight_bytes
from edgekit.models.deployed import steps_of
from edgekit.models.layers import (
    POINT_EXTENT,
    Activation,
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    GlobalPool,
    Layer,
    Linear,
    MaxPool,
    Mean,
    Mul,
    Narrow,
    PadChannels,
    ResponseNorm,
    Shuffle,
    Tensor,
)
from edgekit.models.network import Network, Structure
from edgekit.options import Precision
from edgekit.search.layer_work import LAYER_KINDS, Bulk, beyond, block_of, unkept

__all__ = ["KINDS", "Prices", "latency_ms", "work"]

KINDS = (
    "mac",
    "depthwise_mac",
    "convolution_mac",
    "activation_byte",
    "elementwise_byte",
    "weight_byte",
    "operator",
)
"""What a network is charged for.

``mac``
    Every multiply-add.
``depthwise_mac``, ``convolution_mac``
    What those of depthwise convolutions, and of full ones with a kernel above 1×1, take beyond that.
``activation_byte``
    Bytes that operators read and write.
``elementwise_byte``
    What those of additions, products, gates, poolings and concatenations take beyond that.
``weight_byte``
    Bytes of weights, each read once.
``operator``
    Operators that a runtime starts one after another.
"""

Prices = tuple[float, ...]
"""Nanoseconds for a unit of each of :data:`KINDS`, or of each of ``LAYER_KINDS``, in that order."""

_ELEMENTWISE = (
    Add,
    AvgPool,
    Concat,
    GlobalPool,
    MaxPool,
    Mul,
    Narrow,
    PadChannels,
    ResponseNorm,
    Shuffle,
)
_GATES = {"silu": 2, "sigmoid": 1, "hardswish": 1, "hardsigmoid": 1, "tanh": 1}


def work(network: Network, precision: Precision) -> tuple[float, ...]:
    """How much of each of :data:`KINDS` one image takes."""
    sites = [(run.repeat, run.site.areas, _forms(run.site.structure, precision)) for run in network.runs]
    blocks = [[count * sum(map(mul, factors, areas)) for factors in form] for count, areas, form in sites]
    return tuple(map(sum, zip(*blocks, strict=True)))


def latency_ms(network: Network, precision: Precision, prices: Prices) -> float:
    """What the work of one image costs at ``prices``, in milliseconds."""
    if len(prices) == len(LAYER_KINDS):
        return _latency_of_layers_ms(network, prices)
    nanoseconds = 0.0
    for _, count, site in network.runs:
        nanoseconds += count * sum(map(mul, _priced(site.structure, precision, prices), site.areas))
    return nanoseconds * 1e-6


def _latency_of_layers_ms(network: Network, prices: Prices) -> float:
    nanoseconds = weights = full_macs = depthwise_macs = outputs = 0.0
    for _, count, site in network.runs:
        areas = tuple(site.areas)
        bulk = block_of(site.structure, areas).bulk
        nanoseconds += count * _priced_block(site.structure, areas, prices)
        weights += count * bulk.weights
        full_macs += count * bulk.full_macs
        depthwise_macs += count * bulk.depthwise_macs
        outputs += count * bulk.outputs
    whole = Bulk(weights, full_macs, depthwise_macs, outputs)
    more = beyond(whole, unkept(whole))
    return (nanoseconds + _charge(prices[-len(more) :], more)) * 1e-6


@lru_cache(maxsize=1 << 16)
def _priced_block(structure: Structure, areas: tuple[int, ...], prices: Prices) -> float:
    """Nanoseconds of a block without what is beyond the caches."""
    return _charge(prices, block_of(structure, areas).amounts)


def _charge(prices: Sequence[float], amounts: Sequence[float]) -> float:
    return float(sum(map(mul, prices, amounts)))


@lru_cache(maxsize=1 << 15)
def _priced(structure: Structure, precision: Precision, prices: Prices) -> tuple[float, ...]:
    """Nanoseconds of a block for each unit of its extents' areas."""
    forms = _forms(structure, precision)
    return tuple(sum(map(mul, column, prices)) for column in zip(*forms, strict=True))


@lru_cache(maxsize=1 << 15)
def _forms(structure: Structure, precision: Precision) -> tuple[tuple[float, ...], ...]:
    """For each kind, its factor of each extent's area."""
    sums: dict[str, Counter[int]] = {kind: Counter() for kind in KINDS}
    deployed = {step.out.name for step in steps_of(structure)}
    for layer in structure.layers:
        if isinstance(layer, Conv):
            _add_conv(sums, layer, precision)
        elif isinstance(layer, Linear):
            _add_linear(sums, layer, precision)
        elif isinstance(layer, _ELEMENTWISE):
            _add_elementwise(sums, layer, 1, precision)
        elif isinstance(layer, Activation) and layer.kind in _GATES:
            _add_elementwise(sums, layer, _GATES[layer.kind], precision)
        elif isinstance(layer, Mean):
            _add_elementwise(sums, layer, len(layer.inputs), precision)
        elif isinstance(layer, BatchNorm) and layer.out.name in deployed:
            _add_norm(sums, layer, precision)
        elif isinstance(layer, Activation) and layer.out.name in deployed:
            _add_elementwise(sums, layer, 1, precision)
    extents = len(structure.windows) + 2
    return tuple(tuple(float(sums[kind][extent]) for extent in range(extents)) for kind in KINDS)


def _add_conv(sums: dict[str, Counter[int]], layer: Conv, precision: Precision) -> None:
    products = layer.inputs[0].channels // layer.groups * layer.kernel[0] * layer.kernel[1]
    macs = layer.out.channels * products
    sums["mac"][layer.out.extent] += macs
    if layer.groups > 1:
        sums["depthwise_mac"][layer.out.extent] += macs
    elif layer.kernel != (1, 1):
        sums["convolution_mac"][layer.out.extent] += macs
    sums["weight_byte"][POINT_EXTENT] += weight_bytes(macs, layer.out.channels, precision)
    _add_traffic(sums["activation_byte"], (layer.out, *layer.inputs), precision)
    sums["operator"][POINT_EXTENT] += 1


def _add_norm(sums: dict[str, Counter[int]], layer: BatchNorm, precision: Precision) -> None:
    """Batch norm behind no convolution is a depthwise one with 1×1 kernels."""
    channels = layer.out.channels
    for kind in ("mac", "depthwise_mac"):
        sums[kind][layer.out.extent] += channels
    sums["weight_byte"][POINT_EXTENT] += weight_bytes(channels, channels, precision)
    _add_traffic(sums["activation_byte"], (layer.out, *layer.inputs), precision)
    sums["operator"][POINT_EXTENT] += 1


def _add_linear(sums: dict[str, Counter[int]], layer: Linear, precision: Precision) -> None:
    weights = layer.out.channels * layer.inputs[0].channels
    # The flattened image is as long as its area; its bias is once for all.
    sums["mac"][layer.inputs[0].extent] += weights
    sums["weight_byte"][layer.inputs[0].extent] += weight_bytes(weights, 0, precision)
    sums["operator"][POINT_EXTENT] += 1


def _add_elementwise(sums: dict[str, Counter[int]], layer: Layer, times: int, precision: Precision) -> None:
    for kind in ("activation_byte", "elementwise_byte"):
        for _ in range(times):
            _add_traffic(sums[kind], (layer.out, *layer.inputs), precision)
    sums["operator"][POINT_EXTENT] += times


def _add_traffic(sums: Counter[int], tensors: Sequence[Tensor], precision: Precision) -> None:
    for tensor in tensors:
        sums[tensor.extent] += tensor.channels * activation_itemsize(precision)
