"""The invariants of the canonical graph (see :mod:`edgekit.graph`), checked after every pass.

:func:`verify_structure` holds after *every* pass: a well-formed graph with known operators, dtypes and
static shapes. :func:`verify` holds when all passes have run: the whole contract. A broken invariant is
a defect of edgekit and raises :class:`~edgekit.errors.GraphError` with the node's name.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import onnx_ir as ir

from edgekit.errors import GraphError
from edgekit.graph.ops import OPERATORS, required_opset
from edgekit.graph.qdq import dequantized_constant
from edgekit.graph.values import array_of, is_static

__all__ = ["verify", "verify_structure"]

_FORBIDDEN = {
    "Constant": "constants are initializers",
    "Identity": "identities are removed",
    "Dropout": "dropout is removed",
    "BatchNormalization": "batch normalization is folded",
}


def verify_structure(model: ir.Model) -> None:
    """Raise :class:`GraphError` unless the graph is well formed.

    Values are defined before they are read, names are unique, every value has a static shape and a
    dtype, and there are no functions, foreign domains or subgraphs.
    """
    graph = model.graph
    if model.functions:
        raise GraphError(f"model keeps functions: {[str(key) for key in model.functions]}")
    defined = {id(value): value for value in (*graph.inputs, *graph.initializers.values())}
    names: set[str] = set()
    for value in defined.values():
        _verify_value(value, names, "graph")
    for node in graph:
        _verify_node(node, graph, defined, names)
    for value in graph.outputs:
        if id(value) not in defined:
            raise GraphError(f"graph output {value.name!r} is not computed by the graph")


def verify(model: ir.Model) -> None:
    """Raise :class:`GraphError` unless the model obeys the whole canonical contract."""
    graph = model.graph
    if graph.opset_imports.get("") != required_opset(graph):
        raise GraphError(f"opset is {graph.opset_imports.get('')}, expected {required_opset(graph)}")
    verify_structure(model)
    for value in graph.inputs:
        _verify_input(value)
    _verify_image_names(graph)
    names: set[str] = set()
    for node in graph:
        _verify_operator(node)
        _verify_name(node, names)


def _verify_value(value: ir.Value, names: set[str], where: str) -> None:
    if not value.name:
        raise GraphError(f"{where}: a value has no name")
    if value.name in names:
        raise GraphError(f"{where}: two values are named {value.name!r}")
    if value.dtype is None or not is_static(value):
        raise GraphError(f"{where}: value {value.name!r} has dtype {value.dtype} and shape {value.shape}")
    names.add(value.name)


def _verify_node(node: ir.Node, graph: ir.Graph, defined: dict[int, ir.Value], names: set[str]) -> None:
    where = f"node {node.name!r} ({node.op_type})"
    if node.graph is not graph:
        raise GraphError(f"{where} belongs to another graph")
    if node.domain:
        raise GraphError(f"{where} has domain {node.domain!r}, expected the default domain")
    if any(
        attr.type in (ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS) for attr in node.attributes.values()
    ):
        raise GraphError(f"{where} has a subgraph")
    for value in node.inputs:
        if value is not None and id(value) not in defined:
            raise GraphError(f"{where} reads {value.name!r} before it is defined")
    for value in node.outputs:
        _verify_value(value, names, where)
        defined[id(value)] = value


def _verify_input(value: ir.Value) -> None:
    assert value.shape is not None
    if value.dtype != ir.DataType.FLOAT:
        raise GraphError(f"input {value.name!r} is {value.dtype}, expected float32")
    if len(value.shape) == 0 or value.shape[0] != 1:
        raise GraphError(f"input {value.name!r} has shape {value.shape}, expected a batch dimension of 1")


def _verify_image_names(graph: ir.Graph) -> None:
    """An image network's single input is ``image``, its single output ``logits``."""
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        return
    given, found = graph.inputs[0], graph.outputs[0]
    assert given.shape is not None
    if len(given.shape) == 4 and (given.name, found.name) != ("image", "logits"):
        raise GraphError(f"input and output are named {given.name!r} and {found.name!r}")


def _verify_operator(node: ir.Node) -> None:
    if node.op_type in _FORBIDDEN:
        raise _broken(node, _FORBIDDEN[node.op_type])
    if node.op_type not in OPERATORS:
        raise _broken(node, "the operator is not in edgekit.graph.ops.OPERATORS")
    rule = _RULES.get(node.op_type)
    if rule is not None:
        rule(node)


def _verify_name(node: ir.Node, names: set[str]) -> None:
    if not node.name or node.name in names:
        raise _broken(node, "node names are present and unique")
    names.add(node.name)
    output = node.outputs[0]
    if len(node.outputs) == 1 and not output.is_graph_output() and not _is_named_after(node, output):
        raise _broken(node, f"its output is named {output.name!r}, not after its node")


def _is_named_after(node: ir.Node, output: ir.Value) -> bool:
    if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
        return True  # qdq names both after the value they quantize
    # The network's output has the name of its last layer: qdq calls what that layer computes otherwise.
    return re.fullmatch(rf"{re.escape(node.name or '')}(\.float\d*)?", output.name or "") is not None


def _verify_conv(node: ir.Node) -> None:
    missing = {"kernel_shape", "strides", "dilations", "group", "pads"} - set(node.attributes)
    if missing or "auto_pad" in node.attributes:
        raise _broken(node, f"attributes are explicit (missing: {sorted(missing)}), never auto_pad")
    if not _is_constant(node, 2):
        raise _broken(node, "a convolution has a constant bias")


def _verify_pool(node: ir.Node) -> None:
    missing = {"kernel_shape", "strides", "pads"} - set(node.attributes)
    ceil_mode = node.attributes.get_int("ceil_mode", 0)
    if missing or ceil_mode or "auto_pad" in node.attributes:
        raise _broken(node, f"pads are explicit and ceil_mode is 0 (missing: {sorted(missing)})")


def _verify_gemm(node: ir.Node) -> None:
    attributes = node.attributes
    factors = (attributes.get_float("alpha", 1.0), attributes.get_float("beta", 1.0))
    if factors != (1.0, 1.0) or (attributes.get_int("transA", 0), attributes.get_int("transB", 0)) != (0, 1):
        raise _broken(node, "expected alpha = beta = 1, transA = 0 and transB = 1")
    if not (_is_constant(node, 1) and _is_constant(node, 2)):
        raise _broken(node, "weight and bias are constants")


def _verify_clip(node: ir.Node) -> None:
    bounds = node.inputs[1:]
    arrays = [array_of(value) for value in bounds]
    for value, array in zip(bounds, arrays, strict=True):
        if value is not None and (array is None or array.ndim):
            raise _broken(node, "its bounds are scalar initializers")


def _verify_flatten(node: ir.Node) -> None:
    if node.attributes.get_int("axis", 1) != 1:
        raise _broken(node, "axis is 1")


def _is_constant(node: ir.Node, index: int) -> bool:
    """Whether input ``index`` is an initializer, or integers behind a ``DequantizeLinear``."""
    value = node.inputs[index] if index < len(node.inputs) else None
    return value is not None and (value.const_value is not None or dequantized_constant(value) is not None)


def _broken(node: ir.Node, invariant: str) -> GraphError:
    return GraphError(f"node {node.name!r} ({node.op_type}) breaks the canonical form: {invariant}")


_RULES: dict[str, Callable[[ir.Node], None]] = {
    "Conv": _verify_conv,
    "MaxPool": _verify_pool,
    "AveragePool": _verify_pool,
    "Gemm": _verify_gemm,
    "Clip": _verify_clip,
    "Flatten": _verify_flatten,
}
