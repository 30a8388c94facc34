"""What all front ends share at the end: canonical form and a check of the weights."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.errors import WeightsError
from edgekit.graph.passes import canonicalize
from edgekit.graph.values import array_of

__all__ = ["finish"]

IR_VERSION = 8
"""ONNX IR version of opset 18 (ONNX 1.13): the oldest that any reader of our opset knows."""


def finish(model: ir.Model) -> ir.Model:
    """Bring a front end's graph into canonical form, in place.

    Raises :class:`WeightsError` naming the constants that are NaN or infinite.
    """
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "edgekit", None
    model.metadata_props.clear()
    canonicalize(model)
    _require_finite(model)
    return model


def _require_finite(model: ir.Model) -> None:
    broken = []
    for name, value in model.graph.initializers.items():
        array = array_of(value)
        if array is not None and array.dtype.kind == "f" and not np.isfinite(array).all():
            broken.append(name)
    if not broken:
        return
    more = f" and {len(broken) - 3} more" if len(broken) > 3 else ""
    raise WeightsError(
        f"weights are NaN or infinite: {', '.join(broken[:3])}{more}",
        hint="the checkpoint is damaged or its training diverged",
    )
