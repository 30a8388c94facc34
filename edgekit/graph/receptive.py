"""The receptive field of every layer of a canonical graph."""

from __future__ import annotations

import onnx_ir as ir

from edgekit.graph.values import shape_of
from edgekit.receptive_field import PIXEL, ReceptiveField, joined

__all__ = ["receptive_fields"]

_WINDOWED = {"Conv", "MaxPool", "AveragePool"}
_WHOLE_IMAGE = {"GlobalAveragePool", "GlobalMaxPool", "Gemm", "MatMul", "ReduceMean", "ReduceMax"}


def receptive_fields(model: ir.Model) -> dict[str, ReceptiveField | None]:
    """Of every node, by its name; None for what sees the whole image, or is no image any more."""
    fields: dict[ir.Value, ReceptiveField | None] = dict.fromkeys(model.graph.inputs, PIXEL)
    found: dict[str, ReceptiveField | None] = {}
    for node in model.graph:
        field = _field(node, fields)
        fields.update(dict.fromkeys(node.outputs, field))
        found[node.name or ""] = field
    return found


def _field(node: ir.Node, fields: dict[ir.Value, ReceptiveField | None]) -> ReceptiveField | None:
    if node.op_type in _WHOLE_IMAGE:
        return None
    field = joined(fields[value] for value in node.inputs if value in fields)
    if field is None or node.op_type not in _WINDOWED:
        return field
    pairs = [_pair(node, name) for name in ("kernel_shape", "strides", "dilations")]
    return field.through(*pairs) if len(shape_of(node.outputs[0])) == 4 else None


def _pair(node: ir.Node, name: str) -> tuple[int, int]:
    height, width = node.attributes.get_ints(name, (1, 1))
    return height, width
