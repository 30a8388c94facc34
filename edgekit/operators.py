"""Which ONNX operators edgekit takes, and what becomes of each: one table, and the page made of it."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.emit.tflite.registry import FLOAT_ONLY, LOWERINGS
from edgekit.graph.ops import OPERATORS, TRANSIENT
from edgekit.graph.passes.fold_constants import FOLDABLE
from edgekit.graph.support import LIMITS, WAYS_AROUND
from edgekit.quantize.contract import CONTRACT

__all__ = ["OperatorSupport", "page", "supported_operators"]

_FROM_ELSEWHERE = {
    "Constant": "becomes a constant",
    "SequenceAt": "rewritten",
    "Shape": "becomes a constant",
    "Size": "becomes a constant",
    "SplitToSequence": "rewritten",
    "Upsample": "upgraded to Resize",
}


@dataclass(frozen=True)
class OperatorSupport:
    """One operator of a model: how it gets into the graph, and what computes it in an int8 file."""

    op_type: str
    graph: str
    int8: str
    limits: str


def supported_operators() -> list[OperatorSupport]:
    """All operators that a model may have, by name."""
    names = {*OPERATORS, *TRANSIENT, *FOLDABLE, *_FROM_ELSEWHERE} - {"QuantizeLinear", "DequantizeLinear"}
    return [OperatorSupport(name, _graph(name), _int8(name), LIMITS.get(name, "")) for name in sorted(names)]


def _graph(name: str) -> str:
    if name in OPERATORS and name in LOWERINGS:
        return "as it is"
    if name in OPERATORS:
        return "rewritten"
    if name in TRANSIENT:
        return "rewritten"
    return _FROM_ELSEWHERE.get(name, "of constants")


def _int8(name: str) -> str:
    if name in CONTRACT and name not in FLOAT_ONLY:
        return "int8"
    return "float32" if name in LOWERINGS else ""


def page() -> str:
    """The documentation of supported operators, Markdown."""
    rows = [f"| {row.op_type} | {row.graph} | {row.int8} | {row.limits} |" for row in supported_operators()]
    others = [f"| {name} | {advice} |" for name, advice in sorted(WAYS_AROUND.items())]
    return "\n".join([*_HEAD, *rows, *_MIDDLE, *others, ""])


_HEAD = (
    "# Supported operators",
    "",
    "Made by `python -m edgekit.operators`; a test holds it to the code.",
    "",
    "Models of opset 9 to the newest that the installed onnx package knows, float32, without control flow. "
    "`edgekit check MODEL` says for a model what cannot be lowered, before any work.",
    "",
    "*in the graph*: kept as it is, rewritten as other operators of this table, or supported where it "
    "computes constants. *in an int8 file*: what computes it; float32 stands between a DEQUANTIZE and a "
    "QUANTIZE.",
    "",
    "| operator | in the graph | in an int8 file | limits |",
    "|---|---|---|---|",
)
_MIDDLE = (
    "",
    "## Not supported",
    "",
    "| operator | what to do |",
    "|---|---|",
)

if __name__ == "__main__":
    import sys

    sys.stdout.write(page())
