"""Hard-sigmoid in the form that OpenVINO recognizes.

Its CPU plugin runs ONNX's ``HardSigmoid`` as a scalar float loop, but joins ``clip(x + 3, 0, 6) / 6`` to
an operation of its own that fuses with its neighbours, integer ones included.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.graph.edit import add_before, constant_before, replace_node
from edgekit.graph.values import required

__all__ = ["expand_hard_sigmoid"]


def expand_hard_sigmoid(model: ir.Model) -> bool:
    """Replace each canonical ``HardSigmoid`` (alpha 1/6, beta 1/2) by ``Add``, ``Clip``, ``Mul``."""
    found = [node for node in model.graph if node.op_type == "HardSigmoid"]
    for node in found:
        name = node.outputs[0].name
        value = _expanded(node)
        replace_node(node, value)
        value.name = name
    return bool(found)


def _expanded(node: ir.Node) -> ir.Value:
    def scalar(suffix: str, value: float) -> ir.Value:
        return constant_before(node, suffix, np.asarray(value, np.float32))

    shifted = add_before(node, "Add", [required(node, 0), scalar("shift", 3)])
    clipped = add_before(node, "Clip", [shifted, scalar("min", 0), scalar("max", 6)])
    return add_before(node, "Mul", [clipped, scalar("sixth", 1 / 6)])
