"""What a canonical fp32 graph costs, counted node by node.

The rules are those of a deployed network, and the same as in the closed-form cost model of the families,
which a test holds equal to this count:

- A row for every node, except: a view (``Flatten``, ``Reshape``) is its input seen otherwise; a ``Relu`` or
  ``Clip`` that alone reads a layer's output is fused into that layer.
- Multiply-adds are those of convolutions and matrix products; adding a bias is none.
- Weights are constant operands with more than one element, biases those of ``Conv`` and ``Gemm``; a
  constant that several nodes share is counted where it is read first.
- Live while a row runs are its inputs, its outputs and every tensor made before it, the network's input
  included, that it, a later row or the caller reads. Nothing is computed in place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from edgekit.graph.ops import is_fusable, kind_of, macs_of
from edgekit.graph.values import Shape, only_reader, required, shape_of
from edgekit.options import PRECISIONS, Precision

__all__ = ["GraphCost", "LayerCost", "count"]

_INT8_WEIGHTS: tuple[Precision, ...] = ("int8", "dynamic", "weight-only", "int16")
_WEIGHT_BYTES: dict[Precision, int] = {"fp32": 4, "fp16": 2, **dict.fromkeys(_INT8_WEIGHTS, 1)}
_BIAS_BYTES: dict[Precision, int] = {"fp32": 4, "fp16": 2, **dict.fromkeys(_INT8_WEIGHTS, 4), "int16": 8}
_ACTIVATION_BYTES: dict[Precision, int] = {**dict.fromkeys(PRECISIONS, 4), "int8": 1, "int16": 2}


@dataclass(frozen=True)
class LayerCost:
    """One row: a node with what is fused into it. Counts are of elements, for one image."""

    name: str
    op: str
    output_shape: Shape
    activation_elements: int
    weights: int
    biases: int
    macs: int

    def activation_bytes(self, precision: Precision = "fp32") -> int:
        """Bytes of the row's output at run time; fp16 and dynamic files compute in float32."""
        return self.activation_elements * _ACTIVATION_BYTES[precision]

    @property
    def params(self) -> int:
        """Weights and biases of the deployed network: batch normalization is folded into them."""
        return self.weights + self.biases


@dataclass(frozen=True)
class GraphCost:
    """Rows in order of execution, and their totals."""

    layers: tuple[LayerCost, ...]
    peak_activation_elements: int

    @property
    def macs(self) -> int:
        """Multiply-adds of one image."""
        return sum(layer.macs for layer in self.layers)

    @property
    def params(self) -> int:
        """Weights and biases of the deployed network."""
        return sum(layer.params for layer in self.layers)

    def weight_bytes(self, precision: Precision = "fp32") -> int:
        """Bytes of the constants, without scales and the file's own structure."""
        return sum(
            layer.weights * _WEIGHT_BYTES[precision] + layer.biases * _BIAS_BYTES[precision]
            for layer in self.layers
        )

    def peak_activation_bytes(self, precision: Precision = "fp32") -> int:
        """Largest sum of live activations."""
        return self.peak_activation_elements * _ACTIVATION_BYTES[precision]


@dataclass(frozen=True)
class _Step:
    """A row's node and the tensors it really reads and makes."""

    node: ir.Node
    reads: tuple[ir.Value, ...]
    makes: tuple[ir.Value, ...]


def count(model: ir.Model) -> GraphCost:
    """Count a canonical fp32 graph (:mod:`edgekit.graph`)."""
    graph = model.graph
    steps, tensor_of = _steps(graph)
    counted: set[ir.Value] = set()
    layers = tuple(_layer(step.node, counted) for step in steps)
    returned = [tensor_of.get(value, value) for value in graph.outputs]
    return GraphCost(layers, _peak_elements(steps, graph.inputs, returned))


def _steps(graph: ir.Graph) -> tuple[list[_Step], dict[ir.Value, ir.Value]]:
    """Rows, and for each value that has no memory of its own the tensor that it is."""
    steps: list[_Step] = []
    tensor_of: dict[ir.Value, ir.Value] = {}
    made: set[ir.Value] = set()
    for node in graph:
        reads = tuple(tensor_of.get(v, v) for v in node.inputs if v is not None and v.const_value is None)
        if kind_of(node) == "view" or _is_fused(node, made):
            tensor_of[node.outputs[0]] = reads[0]
            continue
        steps.append(_Step(node, reads, tuple(node.outputs)))
        made.update(node.outputs)
    return steps, tensor_of


def _is_fused(node: ir.Node, made: set[ir.Value]) -> bool:
    """Whether a clamp belongs to the layer that makes its input for nobody else."""
    source = required(node, 0)
    return is_fusable(node) and source in made and only_reader(source) is node


def _layer(node: ir.Node, counted: set[ir.Value]) -> LayerCost:
    weights = biases = 0
    for index, value in enumerate(node.inputs):
        if value is None or value.const_value is None or value in counted:
            continue
        counted.add(value)
        elements = math.prod(shape_of(value))
        if index == 2 and node.op_type in ("Conv", "ConvTranspose", "Gemm"):
            biases += elements
        elif value.dtype == ir.DataType.FLOAT and elements > 1:
            weights += elements
    return LayerCost(
        name=node.name or "",
        op=node.op_type,
        output_shape=shape_of(node.outputs[0]),
        activation_elements=sum(math.prod(shape_of(value)) for value in node.outputs),
        weights=weights,
        biases=biases,
        macs=macs_of(node),
    )


def _peak_elements(steps: Sequence[_Step], inputs: Iterable[ir.Value], returned: Iterable[ir.Value]) -> int:
    """Largest number of elements alive at once; what the caller reads lives to the end."""
    last_read: dict[ir.Value, int] = {}
    for i, step in enumerate(steps):
        last_read.update(dict.fromkeys(step.makes, i))
        last_read.update(dict.fromkeys(step.reads, i))
    last_read.update(dict.fromkeys(returned, len(steps)))
    alive = {value: math.prod(shape_of(value)) for value in inputs}
    total, peak = sum(alive.values()), 0
    for i, step in enumerate(steps):
        for value in step.makes:
            alive[value] = math.prod(shape_of(value))
            total += alive[value]
        peak = max(peak, total)
        for value in {*step.makes, *step.reads}:
            if last_read[value] == i:
                total -= alive.pop(value)
    return peak
