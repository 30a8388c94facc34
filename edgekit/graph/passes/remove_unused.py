"""Remove nodes and initializers that no output needs."""

from __future__ import annotations

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

__all__ = ["remove_unused"]


def remove_unused(model: ir.Model) -> bool:
    """Remove what contributes to no graph output; inputs stay."""
    return bool(RemoveUnusedNodesPass()(model).modified)
