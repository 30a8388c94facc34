"""Layers that an int8 file keeps float, said so that onnxruntime leaves them float.

onnxruntime takes a convolution with float weights behind a ``DequantizeLinear`` for one whose weights
somebody forgot, and quantizes them on loading, with one scale for the whole tensor: in a test that undid
the gain of keeping the layer. It does so only where the input has a single scale; a vector of equal
scales, one a channel, means the same and is left alone.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.graph import qdq
from edgekit.graph.edit import add_before, constant_before
from edgekit.graph.values import array_of, required, shape_of

__all__ = ["shield_float_layers"]

_WEIGHTED = ("Conv", "ConvTranspose", "Gemm")


def shield_float_layers(model: ir.Model) -> bool:
    """Give each float layer with weights a ``DequantizeLinear`` of its own, with a scale for each channel."""
    modified = False
    for node in list(model.graph):
        if node.op_type not in _WEIGHTED or not qdq.is_float(node):
            continue
        dequantize = required(node, 0).producer()
        if dequantize is None or dequantize.op_type != "DequantizeLinear":
            continue
        channels = shape_of(node.inputs[0])[1]
        vectors = []
        for index, name in ((1, "scale"), (2, "zero_point")):
            array = array_of(required(dequantize, index))
            assert array is not None
            vectors.append(constant_before(node, f"input.{name}", np.full(channels, array)))
        own = add_before(node, "DequantizeLinear", [required(dequantize, 0), *vectors])
        node.replace_input_with(0, own)
        modified = True
    return modified
