"""Where quantization parameters go: the layers, the values they produce and which values must agree.

A *layer* is a node together with the clamp (ReLU, ReLU6) that every runtime fuses into it: no
parameters stand between the two. A *group* is a set of values whose parameters the integer contract
ties together, such as the inputs and the output of a concatenation. Each layer computes in a precision
of its own: see :mod:`edgekit.quantize.precision`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import onnx_ir as ir

from edgekit.errors import UnsupportedError
from edgekit.graph.clamps import bounds_of
from edgekit.graph.ops import is_fusable
from edgekit.graph.values import array_of, only_reader, required, shape_of
from edgekit.quantize.arithmetic import ActivationParams, wide_params
from edgekit.quantize.contract import CONTRACT, WEIGHTED, rule_of
from edgekit.quantize.groups import Groups

__all__ = ["Layer", "LayerPrecision", "Plan", "make_plan", "with_layers"]

LayerPrecision = Literal["int8", "int16", "float"]
"""What a layer computes in: int8, int8 weights with int16 activations (TFLite's 16x8), or float32."""

_FUSES_CLAMP = frozenset({"Conv", "Gemm", "Add", "Sub", "Mul"})
_OPEN = (-math.inf, math.inf)


@dataclass(frozen=True)
class Layer:
    """One operator: a node by name, and values of the canonical graph.

    ``inputs`` are its computed inputs, ``constants`` the indices of its constant ones (weight and bias
    of a weighted layer), ``raw`` the node's own output, ``output`` what leaves the fused clamp to
    ``bounds``.
    """

    name: str
    op_type: str
    inputs: tuple[str, ...]
    constants: tuple[int, ...]
    raw: str
    output: str
    bounds: tuple[float, float]
    precision: LayerPrecision = "int8"

    @property
    def is_weighted(self) -> bool:
        """Whether the layer multiplies by a weight (Conv, Gemm)."""
        return self.op_type in WEIGHTED

    @property
    def is_copy(self) -> bool:
        """Whether the layer moves, selects or averages numbers, so that its output widens no range."""
        return self.op_type in CONTRACT and CONTRACT[self.op_type].kind == "shared"


@dataclass(frozen=True)
class Plan:
    """What :func:`make_plan` read from a graph.

    ``layers`` are in execution order; ``groups`` partition all values into those with common
    parameters, which ``fixed`` gives, by the group's index, where an operator decides them, and
    ``wide_fixed`` the same for int16.
    """

    input: str
    output: str
    layers: tuple[Layer, ...]
    groups: tuple[tuple[str, ...], ...]
    fixed: Mapping[int, ActivationParams]
    wide_fixed: Mapping[str, ActivationParams]

    @property
    def values(self) -> tuple[str, ...]:
        """Every value between layers: the graph's input, then the layers' outputs."""
        return (self.input, *(layer.output for layer in self.layers))

    @cached_property
    def group_of(self) -> Mapping[str, int]:
        """Value → index of its group."""
        return {name: i for i, group in enumerate(self.groups) for name in group}

    @cached_property
    def last_readers(self) -> Mapping[str, int]:
        """Value → index of the last layer that reads it, of those that any reads."""
        return {name: i for i, layer in enumerate(self.layers) for name in layer.inputs}

    @cached_property
    def precisions(self) -> Mapping[str, LayerPrecision]:
        """Value → what it is computed in; the input is of the width of the network's ends."""
        return {self.input: self.ends, **{layer.output: layer.precision for layer in self.layers}}

    @cached_property
    def ends(self) -> LayerPrecision:
        """What the network's input and output are held in: int8, or int16 where no layer is int8."""
        found = {layer.precision for layer in self.layers}
        return "int16" if "int16" in found and "int8" not in found else "int8"

    def finished(self, layer: Layer) -> set[str]:
        """Values that the layer is the last to read; the network's output is wanted in the end."""
        readers = self.last_readers
        return {name for name in layer.inputs if self.layers[readers[name]] is layer} - {self.output}

    def sources(self, index: int) -> tuple[str, ...]:
        """Values of a group whose numbers come from outside it; the others take theirs from these."""
        copies = {layer.output for layer in self.layers if layer.is_copy}
        return tuple(name for name in self.groups[index] if name not in copies)

    def params_at(
        self, name: str, precision: LayerPrecision, params: Mapping[str, ActivationParams]
    ) -> ActivationParams | None:
        """Parameters of a value where it is held in ``precision``; None for float.

        ``params`` are the int8 parameters of every value.
        """
        if precision == "float":
            return None
        if precision == "int8":
            return params[name]
        return self.wide_fixed.get(name) or wide_params(params[name])


def make_plan(model: ir.Model, floats: Collection[str] = ()) -> Plan:
    """Read a canonical fp32 graph with one input; its first output is the one that is measured.

    Every layer is int8 but ``floats`` and those whose operator has no integer form. Raises
    :class:`UnsupportedError` naming a node whose weight is computed.
    """
    graph = model.graph
    if len(graph.inputs) != 1:
        raise UnsupportedError(
            f"the graph has {len(graph.inputs)} inputs, int8 takes one",
            hint="cut the model down to one input",
        )
    layers = tuple(_layers(graph, floats))
    source, result = graph.inputs[0].name or "", graph.outputs[0].name or ""
    return _grouped(source, result, layers)


def with_layers(plan: Plan, layers: Sequence[Layer]) -> Plan:
    """The same network with other precisions: its values grouped anew."""
    return _grouped(plan.input, plan.output, tuple(layers))


def _grouped(source: str, result: str, layers: tuple[Layer, ...]) -> Plan:
    groups = Groups([source, *(layer.output for layer in layers)])
    for layer in layers:
        if layer.is_copy and layer.precision != "float":
            for name in layer.inputs:
                groups.join(name, layer.output)
    return _with_fixed(Plan(source, result, layers, groups.members(), {}, {}))


def _layers(graph: ir.Graph, floats: Collection[str]) -> Iterable[Layer]:
    absorbed: set[ir.Node] = set()
    for node in graph:
        if node in absorbed:
            continue
        clamp = _fused_clamp(node)
        if clamp is not None:
            absorbed.add(clamp)
        layer = _layer(node, clamp)
        if layer.name in floats or node.op_type not in CONTRACT:
            yield replace(layer, precision="float")
            continue
        _require_constant_weight(node)
        _require_one_image(node)
        yield layer


def _require_constant_weight(node: ir.Node) -> None:
    if node.op_type in WEIGHTED and array_of(required(node, 1)) is None:
        raise UnsupportedError(
            f"node {node.name!r} ({node.op_type}) has a computed weight, which int8 kernels do not take",
            hint=f"export with --precision fp16, or with --keep-float {node.name}",
        )


def _require_one_image(node: ir.Node) -> None:
    if node.op_type in WEIGHTED and shape_of(required(node, 0))[0] != 1:
        raise UnsupportedError(
            f"node {node.name!r} ({node.op_type}) sees an image as a batch of parts, which int8 does not",
            hint=f"export with --precision fp16, or with --keep-float {node.name}",
        )


def _layer(node: ir.Node, clamp: ir.Node | None) -> Layer:
    given = [(i, value) for i, value in enumerate(node.inputs) if value is not None]
    last = clamp or node
    return Layer(
        name=node.name or "",
        op_type=node.op_type,
        inputs=tuple(value.name or "" for _, value in given if not value.is_initializer()),
        constants=tuple(i for i, value in given if value.is_initializer()),
        raw=node.outputs[0].name or "",
        output=last.outputs[0].name or "",
        bounds=_OPEN if clamp is None else _bounds(clamp),
    )


def _bounds(clamp: ir.Node) -> tuple[float, float]:
    found = bounds_of(clamp)
    assert found is not None, "a canonical clamp has constant bounds"
    return found[1:]


def _fused_clamp(node: ir.Node) -> ir.Node | None:
    if node.op_type not in _FUSES_CLAMP:
        return None
    reader = only_reader(node.outputs[0])
    return reader if reader is not None and is_fusable(reader) else None


def _with_fixed(plan: Plan) -> Plan:
    """The plan with the parameters that sigmoids and their like impose on their groups."""
    fixed = _imposed(plan, "int8", lambda op: rule_of(op, None).params)
    wide = _imposed(plan, "int16", lambda op: rule_of(op, None).wide_params)
    by_name = {name: params for i, params in wide.items() for name in plan.groups[i]}
    return replace(plan, fixed=fixed, wide_fixed=by_name)


def _imposed(
    plan: Plan, precision: LayerPrecision, demand: Callable[[str], ActivationParams | None]
) -> dict[int, ActivationParams]:
    demands = {layer.output: demand(layer.op_type) for layer in plan.layers if layer.precision == precision}
    fixed: dict[int, ActivationParams] = {}
    for i, group in enumerate(plan.groups):
        params = next((demands[name] for name in group if demands.get(name) is not None), None)
        if params is None:
            continue
        sources = plan.sources(i)
        if any(demands.get(name) != params for name in sources):
            raise UnsupportedError(
                f"values {list(sources)} are joined, and the integer form of one has a scale of its own",
                hint="move the sigmoid, tanh or softmax behind the concatenation, or export with fp16",
            )
        fixed[i] = params
    return fixed
