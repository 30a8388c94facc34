"""The kinds of work that a network's latency is made of, without torch.

Each is a sum over the layers and linear in the areas inside a block, so a block is looked at once for its
channels. All grow with width, depth and resolution; with non-negative prices so does the latency.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
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
from edgekit.search.layer_work import (
    LAYER_KINDS,
    WEIGHTS_BEYOND,
    layer_forms,
    weight_forms,
    weights_beyond,
)

__all__ = ["KINDS", "Prices", "latency_ms", "layer_work", "weights_of", "work"]

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
    return _totals(network, lambda structure: _forms(structure, precision))


def layer_work(network: Network) -> tuple[float, ...]:
    """How much of each of :data:`~edgekit.search.layer_work.LAYER_KINDS` one image takes."""
    amounts = _totals(network, layer_forms)
    return (*amounts[: -len(WEIGHTS_BEYOND)], *weights_beyond(weights_of(network)))


def weights_of(network: Network) -> float:
    """How many weights its deployed layers read for one image."""
    weights = 0.0
    for _, count, site in network.runs:
        weights += count * sum(map(mul, weight_forms(site.structure), site.areas))
    return weights


def _totals(
    network: Network, forms: Callable[[Structure], tuple[tuple[float, ...], ...]]
) -> tuple[float, ...]:
    """For each kind the sum over the blocks, of which ``forms`` gives the factors of its extents' areas."""
    sites = [(count, site.areas, forms(site.structure)) for _, count, site in network.runs]
    blocks = [[count * sum(map(mul, factors, areas)) for factors in form] for count, areas, form in sites]
    return tuple(map(sum, zip(*blocks, strict=True)))


def latency_ms(network: Network, precision: Precision, prices: Prices) -> float:
    """What the work of one image costs at ``prices``, in milliseconds."""
    nanoseconds = 0.0
    for _, count, site in network.runs:
        nanoseconds += count * sum(map(mul, _priced(site.structure, precision, prices), site.areas))
    if _is_detailed(prices) and any(beyond := prices[-len(WEIGHTS_BEYOND) :]):
        nanoseconds += sum(map(mul, beyond, weights_beyond(weights_of(network))))
    return nanoseconds * 1e-6


def _is_detailed(prices: Prices) -> bool:
    return len(prices) == len(LAYER_KINDS)


@lru_cache(maxsize=1 << 15)
def _priced(structure: Structure, precision: Precision, prices: Prices) -> tuple[float, ...]:
    """Nanoseconds of a block for each unit of its extents' areas."""
    forms = layer_forms(structure) if _is_detailed(prices) else _forms(structure, precision)
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
