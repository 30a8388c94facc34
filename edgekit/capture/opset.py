"""Bringing a model of any opset from 9 on to the canonical opset.

Older models go through the onnx package's converter. Newer opsets differ from the canonical one, for the
operators edgekit knows, in added types and attributes only: a node that uses none is the same in both.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx.defs
import onnx.version_converter

from edgekit.errors import ModelFileError, UnsupportedError
from edgekit.graph.ops import OPSET, YOUNGER

__all__ = ["OLDEST_OPSET", "convert_opset"]

OLDEST_OPSET = 9
_RESIZES_FROM_CORNERS = 10


def convert_opset(proto: onnx.ModelProto, file: Path) -> onnx.ModelProto:
    """The same model in the canonical opset; :class:`UnsupportedError` names what cannot be converted."""
    version = next((item.version for item in proto.opset_import if item.domain in ("", "ai.onnx")), None)
    if version is None:
        raise ModelFileError(f"{file} states no opset")
    if not OLDEST_OPSET <= version <= onnx.defs.onnx_opset_version():
        raise UnsupportedError(
            f"{file} has opset {version}, expected {OLDEST_OPSET} to {onnx.defs.onnx_opset_version()}",
            hint=f"export the model with opset {OPSET}",
        )
    _drop_foreign_imports(proto)
    _refuse_training(proto)
    if version < OPSET:
        return _upgraded(proto, version, file)
    if version > OPSET:
        _downgrade(proto, version)
    return proto


def _drop_foreign_imports(proto: onnx.ModelProto) -> None:
    """Domains that exporters name and no node is of: those of nodes are refused before."""
    own = [item for item in proto.opset_import if item.domain in ("", "ai.onnx")]
    del proto.opset_import[:]
    proto.opset_import.extend(own)


def _refuse_training(proto: onnx.ModelProto) -> None:
    """Before opset 14 a batch normalization trains where it gives statistics."""
    for node in proto.graph.node:
        if node.op_type == "BatchNormalization" and any(node.output[1:]):
            raise UnsupportedError(
                f"node {node.name or node.output[0]!r} (BatchNormalization) is in training mode",
                hint="export the model in evaluation mode",
            )


def _upgraded(proto: onnx.ModelProto, version: int, file: Path) -> onnx.ModelProto:
    try:
        upgraded = onnx.version_converter.convert_version(proto, OPSET)
    except (onnx.version_converter.ConvertError, RuntimeError, ValueError) as exc:
        lines = str(exc).strip().splitlines() or [type(exc).__name__]
        raise UnsupportedError(
            f"{file} cannot be converted from opset {version} to {OPSET}: {lines[-1]}",
            hint=f"export the model with opset {OPSET}",
        ) from exc
    if version <= _RESIZES_FROM_CORNERS:
        _state_coordinates(upgraded)
    return upgraded


def _state_coordinates(proto: onnx.ModelProto) -> None:
    """Say how old resizes sample, for which the converter leaves the defaults of later opsets."""
    modes = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    for node in proto.graph.node:
        if node.op_type == "Resize":
            node.attribute.extend(onnx.helper.make_attribute(*mode) for mode in modes.items())


def _downgrade(proto: onnx.ModelProto, version: int) -> None:
    for node in proto.graph.node:
        if YOUNGER.get(node.op_type, OPSET) == OPSET:
            _require_same_meaning(node, version)
    for item in proto.opset_import:
        if item.domain in ("", "ai.onnx"):
            item.version = OPSET


def _neutral(attribute: onnx.AttributeProto) -> tuple[object, ...]:
    """Values that state what older operators do anyway, where the schema names no default."""
    return {"dilations": ([1] * len(attribute.ints),), "mode": (b"DCR",)}.get(attribute.name, ())


def _require_same_meaning(node: onnx.NodeProto, version: int) -> None:
    where = f"node {node.name or node.output[0]!r} ({node.op_type}, opset {version})"
    hint = f"export the model with opset {OPSET}"
    try:
        schema = onnx.defs.get_schema(node.op_type, OPSET)
        newer = onnx.defs.get_schema(node.op_type, version)
    except onnx.defs.SchemaError as exc:
        raise UnsupportedError(f"{where} has no equivalent in opset {OPSET}", hint=hint) from exc
    for attribute in list(node.attribute):
        if attribute.name in schema.attributes:
            continue
        default = newer.attributes[attribute.name].default_value
        value = onnx.helper.get_attribute_value(attribute)
        if value not in (onnx.helper.get_attribute_value(default), *_neutral(attribute)):
            raise UnsupportedError(f"{where} uses attribute {attribute.name!r}", hint=hint)
        node.attribute.remove(attribute)
    if len(node.input) > schema.max_input:
        raise UnsupportedError(f"{where} has {len(node.input)} inputs", hint=hint)
