"""Building a graph node by node, each with its shape and the layer that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from edgekit.graph.edit import SCOPE
from edgekit.graph.ops import OPSET, infer_types
from edgekit.graph.values import Array, AttributeValue, Shape, add_initializer, new_node

__all__ = ["GraphBuilder"]


class GraphBuilder:
    """A growing graph; ``scope`` is the dotted name of the layer whose nodes come next."""

    def __init__(self) -> None:
        self.scope = ""
        self.graph = ir.Graph([], [], nodes=[], opset_imports={"": OPSET}, name="network")

    def input(self, name: str, shape: Shape) -> ir.Value:
        """Add a float32 input."""
        value = ir.val(name, ir.DataType.FLOAT, shape)
        self.graph.inputs.append(value)
        return value

    def constant(self, name: str, array: Array) -> ir.Value:
        """Add an initializer, named within the current scope."""
        return add_initializer(self.graph, f"{self.scope}.{name}", array)

    def scalar(self, number: float) -> ir.Value:
        """Add a float32 constant without dimensions."""
        return self.constant("scalar", np.asarray(number, np.float32))

    def ints(self, numbers: Sequence[int]) -> ir.Value:
        """Add an int64 vector, as shapes, axes and pads are given."""
        return self.constant("ints", np.asarray(numbers, np.int64))

    def op(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        attributes: Mapping[str, AttributeValue] | None = None,
    ) -> ir.Value:
        """Append a node with one output; returns the output with shape and dtype."""
        node = new_node(op_type, inputs, attributes, {SCOPE: self.scope})
        self.graph.append(node)
        node.name = self.scope or node.outputs[0].name
        infer_types(node)
        return node.outputs[0]

    def model(self, outputs: Sequence[ir.Value]) -> ir.Model:
        """The finished model."""
        self.graph.outputs.extend(outputs)
        return ir.Model(self.graph, ir_version=8)
