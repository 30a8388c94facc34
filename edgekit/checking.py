"""What of a model cannot be made into a file, said before any work: which node, why, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from edgekit import source
from edgekit.building import build_graph
from edgekit.errors import EdgekitError, UnsupportedError
from edgekit.feeding import unpack
from edgekit.graph.support import way_around
from edgekit.options import ExportOptions, ScaleChange
from edgekit.results import JSON
from edgekit.source import OnnxFile
from edgekit.target import resolve

__all__ = ["Check", "Finding", "check"]


@dataclass(frozen=True)
class Finding:
    """One node: ``refused`` cannot be lowered, ``float`` computes in float32 in an int8 file."""

    kind: Literal["refused", "float"]
    node: str
    op_type: str
    reason: str
    advice: str

    def to_json(self) -> dict[str, JSON]:
        return dict(vars(self))


@dataclass(frozen=True)
class Check:
    """What was found for one model and target. ``transposes`` are those left in the TFLite file."""

    model: str
    target: str
    findings: tuple[Finding, ...]
    nodes: int
    transposes: int | None = None

    @property
    def passed(self) -> bool:
        """Whether every node can be lowered."""
        return not any(finding.kind == "refused" for finding in self.findings)

    def to_json(self) -> dict[str, JSON]:
        return {
            "model": self.model,
            "target": self.target,
            "passed": self.passed,
            "nodes": self.nodes,
            "transposes": self.transposes,
            "findings": [finding.to_json() for finding in self.findings],
        }


def check(model: str, target: str = "tflite", scale: ScaleChange = ScaleChange()) -> Check:
    """Every node of ``model`` that a file for ``target`` cannot hold, without calibrating or writing.

    ``model`` is what every command takes as MODEL. Raises InputError and ModelFileError for what cannot be
    read at all, and UnknownNameError for the target.
    """
    targets = resolve(target)
    parsed = source.parse(model, scale)
    if isinstance(parsed, OnnxFile):
        unknown = tuple(_unknown_operators(parsed))
        if unknown:
            return Check(model, target, unknown, 0)
    try:
        graph = unpack(build_graph(model, ExportOptions(scale=scale, weights="random")).graph)
    except UnsupportedError as exc:
        return Check(model, target, (_finding(exc),), 0)
    if all(one.format != "tflite" for one in targets):
        return Check(model, target, (), len(graph.graph))
    refused, transposes = _lowered(graph)
    wants_int8 = any(one.precision(None) == "int8" for one in targets) or target in (
        "tflite",
        "litert",
        "all",
    )
    floats = tuple(_floats(graph)) if wants_int8 else ()
    return Check(model, target, (*refused, *floats), len(graph.graph), transposes if not refused else None)


def _unknown_operators(file: OnnxFile) -> Iterator[Finding]:
    """Nodes of operators that have no row in any table."""
    from edgekit.capture.onnx_file import node_types
    from edgekit.operators import supported_operators

    known = {row.op_type for row in supported_operators()}
    for name, op_type in node_types(file.path):
        if op_type not in known:
            yield Finding("refused", name, op_type, "the operator is not supported", way_around(op_type))


def _lowered(graph: ir.Model) -> tuple[tuple[Finding, ...], int]:
    """What the TFLite lowering refuses, node by node, and the transpositions that are left."""
    from edgekit.emit.tflite.registry import try_lower

    program, errors = try_lower(graph.graph)
    findings = tuple(
        Finding(
            "refused", node.name or "", node.op_type, _reason(exc, node), exc.hint or way_around(node.op_type)
        )
        for node, exc in errors
    )
    return findings, sum(operator.code == "TRANSPOSE" for operator in program.operators)


def _floats(graph: ir.Model) -> Iterator[Finding]:
    from edgekit.quantize.contract import CONTRACT

    for node in graph.graph:
        if node.op_type not in CONTRACT:
            yield Finding(
                *("float", node.name or "", node.op_type, "no integer form: float32 in an int8 file"),
                "nothing has to be done; it costs a conversion on either side",
            )


def _finding(exc: EdgekitError) -> Finding:
    return Finding("refused", "", "", str(exc), exc.hint or "see the supported operators")


def _reason(exc: EdgekitError, node: ir.Node) -> str:
    """The message without the node's name, which has a column of its own."""
    prefixes = (f"node {node.name!r} ({node.op_type}): ", f"{node.name} ({node.op_type}): ")
    text = str(exc)
    return next((text.removeprefix(prefix) for prefix in prefixes if text.startswith(prefix)), text)
