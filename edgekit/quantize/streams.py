"""Linear streams: values that additions tie together, from linear convolutions to the convolutions behind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgekit.quantize.channels import ChannelGraph
from edgekit.quantize.groups import Groups
from edgekit.quantize.plan import Layer

__all__ = ["Stream", "streams"]


@dataclass(frozen=True)
class Stream:
    """Values whose channels can be scaled and shifted together.

    ``producers`` are the convolutions, without clamp, that make them, ``sums`` the additions, in order;
    ``readers`` the convolutions that read them, one for each value and reader.
    """

    values: tuple[str, ...]
    producers: tuple[Layer, ...]
    sums: tuple[Layer, ...]
    readers: tuple[Layer, ...]


def streams(graph: ChannelGraph) -> Iterator[Stream]:
    """Every stream of the graph that nothing but int8 convolutions and additions touches."""
    layers = {layer.output: layer for layer in graph.plan.layers if _is_linear(layer)}
    values = Groups(layers)
    for layer in layers.values():
        if layer.op_type == "Add":
            for name in layer.inputs:
                if name in layers:
                    values.join(name, layer.output)
    for names in values.members():
        stream = _stream(graph, [layers[name] for name in names])
        if stream is not None:
            yield stream


def _is_linear(layer: Layer) -> bool:
    is_open = layer.bounds == (-np.inf, np.inf)
    is_sum = layer.op_type == "Add" and len(layer.inputs) == 2
    return layer.precision == "int8" and is_open and (layer.op_type == "Conv" or is_sum)


def _stream(graph: ChannelGraph, group: list[Layer]) -> Stream | None:
    values = tuple(layer.output for layer in group)
    sums = tuple(layer for layer in group if layer.op_type == "Add")
    readers = [reader for name in values for reader in graph.readers(name)]
    outside = [reader for reader in readers if reader not in sums]
    terms = {name for layer in sums for name in layer.inputs}
    if graph.plan.output in values or not terms <= set(values) or not outside:
        return None
    if not all(graph.is_convolution(reader) for reader in outside):
        return None
    if len({graph.ranges[name].low.shape for name in values if name in graph.ranges}) != 1:
        return None
    return Stream(values, tuple(layer for layer in group if layer not in sums), sums, tuple(outside))
