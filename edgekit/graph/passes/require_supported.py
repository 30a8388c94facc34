"""Refuse what no pass could express: not a change, but the place where it is known."""

from __future__ import annotations

import onnx_ir as ir

from edgekit.errors import UnsupportedError
from edgekit.graph.ops import operator_of

__all__ = ["require_supported"]


def require_supported(model: ir.Model) -> bool:
    """Raise :class:`~edgekit.errors.UnsupportedError` naming the first node without a known operator.

    Or the first output that is given a second time.
    """
    for node in model.graph:
        operator_of(node)
    outputs = list(model.graph.outputs)
    for index, value in enumerate(outputs):
        if any(value is other for other in outputs[:index]):
            raise UnsupportedError(
                f"graph output {value.name!r} is given twice", hint="return each output once"
            )
    return False
