"""Refuse operators that no pass could express: not a change, but the place where it is known."""

from __future__ import annotations

import onnx_ir as ir

from edgekit.graph.ops import operator_of

__all__ = ["require_supported"]


def require_supported(model: ir.Model) -> bool:
    """Raise :class:`~edgekit.errors.UnsupportedError` naming the first node without a known operator."""
    for node in model.graph:
        operator_of(node)
    return False
