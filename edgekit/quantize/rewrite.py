"""Putting parameters and integers into the graph as Q/DQ pairs: the quantized graph."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx_ir as ir

from edgekit.graph.qdq import QuantizedTensor, insert_activation_pair, insert_constant, scalar_params
from edgekit.graph.subgraph import values_by_name
from edgekit.quantize.arithmetic import ActivationParams
from edgekit.quantize.plan import Plan
from edgekit.quantize.sequential import LayerConstants

__all__ = ["rewrite"]


def rewrite(
    model: ir.Model,
    plan: Plan,
    params: Mapping[str, ActivationParams],
    constants: Mapping[str, tuple[LayerConstants, ...]],
) -> ir.Model:
    """A quantized copy of a canonical fp32 graph, by the convention of :mod:`edgekit.graph.qdq`."""
    quantized = model.clone()
    values = values_by_name(quantized)
    nodes = {node.name: node for node in quantized.graph}
    for layer in plan.layers:
        for constant in constants[layer.name]:
            _insert(quantized.graph, nodes[layer.name], constant)
    for name in plan.values:
        insert_activation_pair(
            quantized.graph, values[name], scalar_params(params[name].scale, params[name].zero_point)
        )
    return quantized


def _insert(graph: ir.Graph, node: ir.Node, constant: LayerConstants) -> None:
    axis = 0 if constant.scale.ndim else None
    weight = QuantizedTensor(constant.scale, 0, ir.DataType.INT8, axis, constant.weight)
    insert_constant(graph, node, constant.index, weight)
    if constant.bias is None or constant.bias_scale is None:
        return
    scale = np.ascontiguousarray(constant.bias_scale, np.float32)
    insert_constant(graph, node, 2, QuantizedTensor(scale, 0, ir.DataType.INT32, 0, constant.bias))
