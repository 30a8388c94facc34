"""State the opset: the canonical one, or that of the youngest operator in the graph."""

from __future__ import annotations

import onnx_ir as ir

from edgekit.graph.ops import required_opset

__all__ = ["set_opset"]


def set_opset(model: ir.Model) -> bool:
    """Write the graph's opset."""
    wanted = required_opset(model.graph)
    if model.graph.opset_imports.get("") == wanted:
        return False
    model.graph.opset_imports[""] = wanted
    return True
