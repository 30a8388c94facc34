"""Where quantization parameters go: the layers, the values they produce and which values must agree.

A *layer* is a node together with the clamp (ReLU, ReLU6) that every runtime fuses into it: no
parameters stand between the two. A *group* is a set of values whose parameters the integer contract
ties together, such as the inputs and the output of a concatenation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from edgekit.errors import UnsupportedError
from edgekit.graph.ops import is_fusable
from edgekit.graph.values import array_of, only_reader, required
from edgekit.quantize.arithmetic import ActivationParams
from edgekit.quantize.contract import WEIGHTED, rule_of

__all__ = ["Layer", "Plan", "make_plan"]

_FUSES_CLAMP = frozenset({"Conv", "Gemm", "Add", "Sub", "Mul"})


@dataclass(frozen=True)
class Layer:
    """One integer operator. All names are of values of the canonical graph.

    ``inputs`` are its computed inputs, ``constants`` its constant ones by input index (weight and bias
    for a weighted layer), ``raw`` the node's own output, ``output`` what leaves the fused clamp.
    """

    name: str
    op_type: str
    inputs: tuple[str, ...]
    constants: Mapping[int, str]
    raw: str
    output: str

    @property
    def is_weighted(self) -> bool:
        """Whether the layer multiplies by an int8 weight (Conv, Gemm)."""
        return self.op_type in WEIGHTED


@dataclass(frozen=True)
class Plan:
    """Layers in execution order; ``groups`` partition all quantized values; ``fixed`` by group index."""

    inputs: tuple[str, ...]
    layers: tuple[Layer, ...]
    groups: tuple[tuple[str, ...], ...]
    fixed: Mapping[int, ActivationParams]

    @property
    def values(self) -> tuple[str, ...]:
        """Every quantized value: the graph's inputs, then the layers' outputs."""
        return (*self.inputs, *(layer.output for layer in self.layers))


def make_plan(model: ir.Model) -> Plan:
    """Read a canonical fp32 graph; :class:`UnsupportedError` names a node that has no integer form."""
    layers = tuple(_layers(model.graph))
    inputs = tuple(value.name or "" for value in model.graph.inputs)
    groups = _Groups([*inputs, *(layer.output for layer in layers)])
    for layer in layers:
        if rule_of(layer.op_type, layer.name).kind == "shared":
            for name in layer.inputs:
                groups.join(name, layer.output)
    members = groups.members()
    return Plan(inputs, layers, members, _fixed(layers, members))


def _layers(graph: ir.Graph) -> Iterable[Layer]:
    absorbed: set[ir.Node] = set()
    for node in graph:
        if node in absorbed:
            continue
        rule_of(node.op_type, node.name)
        clamp = _fused_clamp(node)
        if clamp is not None:
            absorbed.add(clamp)
        yield _layer(node, clamp)


def _layer(node: ir.Node, clamp: ir.Node | None) -> Layer:
    if node.op_type in WEIGHTED and array_of(required(node, 1)) is None:
        raise UnsupportedError(
            f"node {node.name!r} ({node.op_type}) has a computed weight, which int8 kernels do not take",
            hint="export with --precision fp16",
        )
    constants = {i: v.name or "" for i, v in enumerate(node.inputs) if v is not None and v.is_initializer()}
    computed = tuple(v.name or "" for v in node.inputs if v is not None and not v.is_initializer())
    last = clamp or node
    raw, output = node.outputs[0].name, last.outputs[0].name
    return Layer(node.name or "", node.op_type, computed, constants, raw or "", output or "")


def _fused_clamp(node: ir.Node) -> ir.Node | None:
    if node.op_type not in _FUSES_CLAMP:
        return None
    reader = only_reader(node.outputs[0])
    return reader if reader is not None and is_fusable(reader) else None


def _fixed(layers: Iterable[Layer], groups: tuple[tuple[str, ...], ...]) -> dict[int, ActivationParams]:
    index = {name: i for i, group in enumerate(groups) for name in group}
    producers = {layer.output: layer for layer in layers}
    fixed: dict[int, ActivationParams] = {}
    for layer in producers.values():
        params = rule_of(layer.op_type, layer.name).params
        if params is not None:
            fixed[index[layer.output]] = params
    for i in fixed:
        sources = [name for name in groups[i] if not _copies(producers.get(name))]
        if len(sources) > 1:
            raise UnsupportedError(
                f"values {sources} are joined, and the integer form of one has a scale of its own",
                hint="move the sigmoid, tanh or softmax behind the concatenation, or export with fp16",
            )
    return fixed


def _copies(layer: Layer | None) -> bool:
    return layer is not None and rule_of(layer.op_type, layer.name).kind == "shared"


class _Groups:
    """Disjoint sets of names (union-find), in order of first appearance."""

    def __init__(self, names: Iterable[str]) -> None:
        self._parent = {name: name for name in names}

    def _root(self, name: str) -> str:
        while self._parent[name] != name:
            self._parent[name] = self._parent[self._parent[name]]
            name = self._parent[name]
        return name

    def join(self, one: str, other: str) -> None:
        self._parent[self._root(other)] = self._root(one)

    def members(self) -> tuple[tuple[str, ...], ...]:
        groups: dict[str, list[str]] = {}
        for name in self._parent:
            groups.setdefault(self._root(name), []).append(name)
        return tuple(tuple(group) for group in groups.values())
