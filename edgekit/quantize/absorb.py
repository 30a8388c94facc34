"""Absorption of high biases: what a channel never goes below, or its middle, moves into the next bias.

Integers that only hold a channel's offset are lost for its signal. Where convolutions without padding read
a linear stream, each channel can be moved so that it lies around zero, and their biases take the offset
back: the network computes the same (Nagel et al., Data-Free Quantization, ICCV 2019, section 4.1.3, for
linear layers, where the condition on the clamp falls away). With padding the zeros beyond the border would
move too, so such streams stay as they are.
"""

from __future__ import annotations

import numpy as np

from edgekit.quantize.arithmetic import FloatArray
from edgekit.quantize.channels import ChannelGraph, ChannelRange
from edgekit.quantize.streams import Stream, streams

__all__ = ["absorb_biases"]

_LEAST_SHIFT = 0.01  # of the largest magnitude: less is not worth an edit


def absorb_biases(graph: ChannelGraph) -> int:
    """Center the channels of every stream that allows it; returns how many values were changed."""
    return sum(_center(graph, stream) for stream in streams(graph))


def _center(graph: ChannelGraph, stream: Stream) -> int:
    if any(graph.is_padded(reader) for reader in stream.readers):
        return 0
    shifts = {layer.output: _middle(graph.ranges[layer.output]) for layer in stream.producers}
    for layer in stream.sums:
        shifts[layer.output] = shifts[layer.inputs[0]] + shifts[layer.inputs[1]]
    largest = max(float(graph.ranges[name].reach.max()) for name in stream.values)
    if max(float(np.abs(shift).max()) for shift in shifts.values()) <= _LEAST_SHIFT * largest:
        return 0
    for layer in stream.producers:
        graph.shift_output(layer, shifts[layer.output])
    for name in stream.values:
        for reader in graph.readers(name):
            if reader in stream.readers:
                graph.add_to_input(reader, shifts[name])
        seen = graph.ranges[name]
        graph.ranges[name] = ChannelRange(seen.low - shifts[name], seen.high - shifts[name])
    return len(stream.values)


def _middle(seen: ChannelRange) -> FloatArray:
    middle: FloatArray = ((seen.low + seen.high) / 2).astype(np.float32)
    return middle
