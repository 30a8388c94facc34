"""What onnxruntime executes in integers, read from the graph that it has optimized for itself."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import onnx

from edgekit.runtimes.base import IntegerCoverage
from edgekit.runtimes.onnx import open_session

__all__ = ["integer_coverage"]

_CONVERSIONS = ("QuantizeLinear", "DequantizeLinear")
_NEUTRAL = frozenset({"Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
_INTEGER_PREFIXES = ("QLinear", "QGemm", "QAttention", "ConvInteger", "MatMulInteger", "DynamicQuantize")
_QGEMM_INPUTS = 9  # without the output's scale and zero point, QGemm gives float32
_INTEGERS = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8, onnx.TensorProto.INT32)
_S8S8 = {"session.qdqisint8allowed": "1"}


def integer_coverage(path: Path, *, as_on_arm: bool = False) -> IntegerCoverage:
    """Load an int8 ``.onnx`` file and count what runs in integers.

    ``as_on_arm`` lets onnxruntime fuse int8 activations too, as it does on Arm by default and on x86
    does not. Raises ModelFileError for a file that onnxruntime cannot load.
    """
    with tempfile.TemporaryDirectory() as folder:
        optimized = Path(folder, "optimized.onnx")
        open_session(path, optimized_path=optimized, settings=_S8S8 if as_on_arm else None)
        graph = onnx.load(str(optimized)).graph
    return _coverage(graph)


def _coverage(graph: onnx.GraphProto) -> IntegerCoverage:
    integers = _integer_values(graph)
    ends = _reachable_ends(graph)
    integer_ops: Counter[str] = Counter()
    float_ops: Counter[str] = Counter()
    boundary = inner = 0
    for node in graph.node:
        if node.op_type in _CONVERSIONS:
            at_end = (node.input[0] if node.op_type == "QuantizeLinear" else node.output[0]) in ends
            boundary, inner = boundary + at_end, inner + (not at_end)
        elif node.op_type not in _NEUTRAL:
            is_integer = _is_integer_kernel(node) or node.input[0] in integers
            (integer_ops if is_integer else float_ops)[node.op_type] += 1
    return IntegerCoverage(dict(integer_ops), dict(float_ops), boundary, inner)


def _is_integer_kernel(node: onnx.NodeProto) -> bool:
    return node.op_type.startswith(_INTEGER_PREFIXES)


def _integer_values(graph: onnx.GraphProto) -> set[str]:
    """Names of the values that hold integers; nodes are in topological order."""
    found = {t.name for t in graph.initializer if t.data_type in _INTEGERS}
    found |= {v.name for v in graph.input if v.type.tensor_type.elem_type in _INTEGERS}
    for node in graph.node:
        if _gives_integers(node, found):
            found.update(node.output)
    return found


def _gives_integers(node: onnx.NodeProto, integers: set[str]) -> bool:
    if node.op_type in ("DequantizeLinear", "DynamicQuantizeMatMul", "Cast"):
        return False
    if node.op_type == "QGemm":
        return len(node.input) == _QGEMM_INPUTS
    if node.op_type == "QuantizeLinear" or _is_integer_kernel(node):
        return True
    return bool(node.input) and node.input[0] in integers


def _reachable_ends(graph: onnx.GraphProto) -> set[str]:
    """Values that are the graph's input or output up to rearrangement and conversion."""
    passing = (*_CONVERSIONS, *_NEUTRAL)
    before = {value.name for value in graph.input}
    after = {value.name for value in graph.output}
    for node in graph.node:
        if node.op_type in passing and node.input[0] in before:
            before.update(node.output)
    for node in reversed(graph.node):
        if node.op_type in passing and any(name in after for name in node.output):
            after.update(node.input[:1])
    return before | after
