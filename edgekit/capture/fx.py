"""Direct capture: a module's ``torch.fx`` trace, node by node, as an ONNX graph.

It runs no arithmetic: shapes follow from the operator table, so a MobileNetV2 takes a fraction of a second.
What it does not know raises :class:`UntraceableError`, and the general export can take over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import onnx_ir as ir
import torch
import torch.fx
from torch import nn

from edgekit.capture.builder import GraphBuilder
from edgekit.capture.functions import FUNCTIONS, METHODS, Lowering
from edgekit.capture.lower import UntraceableError
from edgekit.capture.modules import lower_module

__all__ = ["UntraceableError", "evaluation_mode", "trace"]

# A trace runs the user's own forward on stand-ins, which can raise whatever that code raises.
_TRACE_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)


def trace(module: nn.Module, input_shapes: Sequence[tuple[int, ...]]) -> ir.Model:
    """A graph, not yet canonical, of a module; raises :class:`UntraceableError`."""
    with evaluation_mode(module):
        try:
            traced = torch.fx.symbolic_trace(module)
        except _TRACE_ERRORS as exc:
            raise UntraceableError(f"torch.fx cannot trace the module: {exc}") from exc
        with torch.no_grad():
            return _Lowering(traced).run(input_shapes)


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, each submodule's own mode again outside."""
    training = [submodule for submodule in module.modules() if submodule.training]
    module.eval()
    try:
        yield
    finally:
        for submodule in training:
            submodule.training = True


class _Lowering:
    """Walks a trace; values are graph values, or plain Python objects such as sizes."""

    def __init__(self, traced: torch.fx.GraphModule) -> None:
        self._traced = traced
        self._builder = GraphBuilder()
        self._values: dict[torch.fx.Node, Any] = {}

    def run(self, input_shapes: Sequence[tuple[int, ...]]) -> ir.Model:
        for node in self._traced.graph.nodes:
            if node.op == "output":
                return self._builder.model(_output_values(self._resolve(node.args[0])))
            self._builder.scope = _scope(node)
            self._values[node] = self._lower(node, input_shapes)
        raise UntraceableError("the module's trace has no output")

    def _lower(self, node: torch.fx.Node, input_shapes: Sequence[tuple[int, ...]]) -> Any:
        if node.op == "placeholder":
            return self._placeholder(node, input_shapes)
        if node.op == "get_attr":
            return _attribute(self._traced, str(node.target))
        args, kwargs = self._resolve(node.args), self._resolve(node.kwargs)
        if node.op == "call_module":
            module = self._traced.get_submodule(str(node.target))
            if len(args) != 1 or kwargs or not isinstance(args[0], ir.Value):
                raise UntraceableError(f"layer {node.target!r} takes more than one tensor")
            return lower_module(self._builder, module, args[0])
        if not _reads_value((args, kwargs)):
            return _call_plain(node, args, kwargs)
        rule = METHODS.get(str(node.target)) if node.op == "call_method" else _function_rule(node)
        if rule is None:
            raise UntraceableError(f"{node.target!r} in layer {self._builder.scope!r} is not known")
        try:
            return rule(self._builder, *args, **kwargs)
        except (AttributeError, TypeError) as exc:
            raise UntraceableError(f"{node.target!r} in layer {self._builder.scope!r}: {exc}") from exc

    def _placeholder(self, node: torch.fx.Node, input_shapes: Sequence[tuple[int, ...]]) -> Any:
        index = len(self._builder.graph.inputs)
        if index < len(input_shapes):
            return self._builder.input(str(node.target), input_shapes[index])
        if node.args:
            return node.args[0]  # a parameter of forward that nobody gave keeps its default
        raise UntraceableError(f"the module takes more than {index} inputs: {node.target!r}")

    def _resolve(self, argument: Any) -> Any:
        return torch.fx.node.map_arg(argument, lambda node: self._values[node])


def _scope(node: torch.fx.Node) -> str:
    """Dotted name of the innermost module that the node belongs to."""
    if node.op == "call_module":
        return str(node.target)
    stack = node.meta.get("nn_module_stack") or {}
    return str(list(stack)[-1]) if stack else ""


def _attribute(root: nn.Module, target: str) -> Any:
    value: Any = root
    for name in target.split("."):
        value = getattr(value, name)
    return value


def _function_rule(node: torch.fx.Node) -> Lowering | None:
    return FUNCTIONS.get(node.target) if callable(node.target) else None


def _reads_value(arguments: Any) -> bool:
    if isinstance(arguments, dict):
        return any(_reads_value(item) for item in arguments.values())
    if isinstance(arguments, (tuple, list)):
        return any(_reads_value(item) for item in arguments)
    return isinstance(arguments, ir.Value)


def _call_plain(node: torch.fx.Node, args: Any, kwargs: Any) -> Any:
    """Arithmetic on sizes and weights, which are plain numbers here."""
    if node.op == "call_method":
        return getattr(args[0], str(node.target))(*args[1:], **kwargs)
    assert callable(node.target)
    return node.target(*args, **kwargs)


def _output_values(output: Any) -> list[ir.Value]:
    values = list(output.values()) if isinstance(output, dict) else output
    values = list(values) if isinstance(values, (tuple, list)) else [values]
    if not values or not all(isinstance(value, ir.Value) and value.producer() for value in values):
        raise UntraceableError("the module returns something other than computed tensors")
    return values
