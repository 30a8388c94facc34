"""Average pools that count their padding, for a runtime that pads integers by 0, not by their zero point.

OpenVINO computes an average pool in integers and pads it as it stands: where zero is another integer, the
border is off by as much (OpenVINO 2026.4). A ``Pad`` in front says what is meant.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.graph import qdq
from edgekit.graph.edit import add_before, constant_before, with_attributes
from edgekit.graph.values import required

__all__ = ["pad_averages"]

_LOWEST = -128


def pad_averages(model: ir.Model) -> bool:
    """Take the padding out of each integer average pool that counts it and whose zero is not the lowest."""
    modified = False
    for node in list(model.graph):
        if node.op_type != "AveragePool" or not node.attributes.get_int("count_include_pad", 0):
            continue
        pads, params = node.attributes.get_ints("pads", ()), qdq.dequantized_from(node.inputs[0])
        if params is None or params.zero_point == _LOWEST or not any(pads):
            continue
        top, left, bottom, right = pads
        amounts = constant_before(node, "pads", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
        padded = add_before(node, "Pad", [required(node, 0), amounts], {"mode": "constant"})
        node.replace_input_with(0, padded)
        # With nothing in between OpenVINO would put the two together again.
        qdq.insert_activation_pair(model.graph, padded, params)
        with_attributes(node, {"pads": [0, 0, 0, 0]})
        modified = True
    return modified
