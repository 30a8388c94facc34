"""Spare channels: dead ones carry a second copy of the channels whose rounding is heard most.

Training leaves channels that are zero whatever the image: their weights have decayed and their bias is not
positive. In a block of convolution, depthwise convolution and projection such a channel can repeat another,
the projection reading the average of the copies, and the network computes the same. Quantized, the copies
are staggered by a fraction of a step, by way of the bias: the average of k rounded copies is then a number
with steps k times as fine. No operator, no byte and no multiply-add is added. (Splitting channels for their
range is due to Zhao et al., Improving Neural Network Quantization using Outlier Channel Splitting, ICML
2019; there the network grows.)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgekit.quantize.arithmetic import ActivationParams, FloatArray
from edgekit.quantize.channels import ChannelGraph, ChannelRange
from edgekit.quantize.plan import Layer, Plan

__all__ = ["Stagger", "fill_spare_channels", "staggered"]


@dataclass(frozen=True)
class Stagger:
    """Shifts that a layer's rounding takes on: ``steps`` of its output, float32 ``[channels]``."""

    layer: str
    steps: FloatArray


def staggered(
    means: Mapping[str, FloatArray],
    plan: Plan,
    params: Mapping[str, ActivationParams],
    staggers: Sequence[Stagger],
) -> dict[str, FloatArray]:
    """Mean outputs, by raw value, that bias correction aims at so that copies are rounded apart."""
    shifts = {stagger.layer: stagger.steps for stagger in staggers}
    aims = dict(means)
    for layer in plan.layers:
        if layer.name in shifts and layer.precision == "int8" and layer.raw in aims:
            aims[layer.raw] = aims[layer.raw] + shifts[layer.name] * np.float32(params[layer.output].scale)
    return aims


@dataclass(frozen=True)
class _Triple:
    """A convolution, the depthwise one that alone reads it, and the convolution that alone reads that."""

    first: Layer
    depthwise: Layer
    last: Layer


def fill_spare_channels(graph: ChannelGraph) -> list[Stagger]:
    """Use dead channels as copies; returns the staggering of each changed layer."""
    found = []
    for layer in graph.plan.layers:
        triple = _triple(graph, layer)
        copies = {} if triple is None else _copies(graph, triple)
        if triple is not None and copies:
            found.append(_fill(graph, triple, copies))
    return found


def _triple(graph: ChannelGraph, first: Layer) -> _Triple | None:
    depthwise = graph.only_reader(first.output)
    last = None if depthwise is None else graph.only_reader(depthwise.output)
    if depthwise is None or last is None or first.inputs[0] not in graph.ranges:
        return None
    if not all(graph.is_convolution(layer) for layer in (first, depthwise, last)):
        return None
    is_dense = graph.groups(first) == graph.groups(last) == 1
    # A padded projection would see the constants of silent channels end at its border.
    is_block = is_dense and graph.is_depthwise(depthwise) and not graph.is_padded(last)
    return _Triple(first, depthwise, last) if is_block and first.bounds[0] == 0 else None


def _copies(graph: ChannelGraph, triple: _Triple) -> dict[int, list[int]]:
    """Channel → itself and the dead ones that repeat it, where a copy takes most noise away."""
    dead = _dead(graph, triple.first)
    noise = _heard(graph, triple)
    noise[dead] = 0
    count = np.ones(len(noise))
    copies: dict[int, list[int]] = {}
    for spare in dead:
        gains = noise / count**2 - noise / (count + 1) ** 2
        channel = int(gains.argmax())
        if gains[channel] <= 0:
            break
        count[channel] += 1
        copies.setdefault(channel, [channel]).append(spare)
    return copies


def _dead(graph: ChannelGraph, layer: Layer) -> list[int]:
    """Channels that no input within the bound's headroom brings above zero."""
    return [int(i) for i in np.flatnonzero(graph.most(layer) <= 0)]


def _heard(graph: ChannelGraph, triple: _Triple) -> npt.NDArray[np.float64]:
    """Noise behind the block for white noise of one channel: the energy of the filters on its way."""
    by_depthwise = np.square(graph.weight(triple.depthwise)).sum(axis=(1, 2, 3), dtype=np.float64)
    by_last = np.square(graph.weight(triple.last)).sum(axis=(0, 2, 3), dtype=np.float64)
    heard: npt.NDArray[np.float64] = by_depthwise * by_last
    return heard


def _fill(graph: ChannelGraph, triple: _Triple, copies: dict[int, list[int]]) -> Stagger:
    first, depthwise, last = triple.first, triple.depthwise, triple.last
    constants = {layer.name: [graph.weight(layer), graph.bias(layer)] for layer in (first, depthwise, last)}
    spares = [spare for channels in copies.values() for spare in channels[1:]]
    last_weight, last_bias = constants[last.name]
    silent = constants[depthwise.name][1][spares].clip(*depthwise.bounds)
    last_bias += (last_weight[:, spares].sum(axis=(2, 3)) * silent).sum(axis=1)
    steps = np.zeros(len(constants[first.name][1]), np.float32)
    for channel, members in copies.items():
        for array in (*constants[first.name], *constants[depthwise.name]):
            array[members] = array[channel]
        last_weight[:, members] = last_weight[:, channel, None] / len(members)
        steps[members] = (np.arange(len(members)) + 0.5) / len(members) - 0.5
        _copy_ranges(graph, triple, channel, members)
    for layer in (first, depthwise, last):
        graph.set_constants(layer, *constants[layer.name])
    return Stagger(first.name, steps)


def _copy_ranges(graph: ChannelGraph, triple: _Triple, channel: int, members: list[int]) -> None:
    for name in (triple.first.output, triple.depthwise.output):
        low, high = graph.ranges[name].low.copy(), graph.ranges[name].high.copy()
        low[members], high[members] = low[channel], high[channel]
        graph.ranges[name] = ChannelRange(low, high)
