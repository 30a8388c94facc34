"""Answers that stay as fine as their sums: a float32 output of a weighted layer needs no rounding to int8.

Where a runtime gives float numbers out of its integer kernels, the pair behind the last layer only rounds
them, and cuts off what is beyond the range that calibration saw: 0.7 to 0.9 dB of EfficientNet-Lite's logits.
"""

from __future__ import annotations

import onnx_ir as ir

from edgekit.graph.values import shape_of

__all__ = ["free_answers"]

_WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})


def free_answers(model: ir.Model) -> bool:
    """Give each output that is a weighted layer's, but for its pair, from before that pair, under its name.

    To be called while clamps are still operators: those that the pair's range implies are dropped later.
    """
    modified = False
    for index, output in enumerate(model.graph.outputs):
        source = _before_pair(output)
        if source is None:
            continue
        name = output.name or ""
        output.name = f"{name}.rounded"
        source.name = name.removesuffix(".dequantized")
        source.shape = ir.Shape(shape_of(output))
        model.graph.outputs[index] = source
        modified = True
    return modified


def _before_pair(output: ir.Value) -> ir.Value | None:
    """What a weighted layer gives to the pair that ends in ``output``."""
    value: ir.Value | None = output
    for op_type in ("DequantizeLinear", "QuantizeLinear"):
        node = None if value is None else value.producer()
        if node is None or node.op_type != op_type:
            return None
        value = node.inputs[0]
    layer = None if value is None else value.producer()
    return value if layer is not None and layer.op_type in _WEIGHTED else None
