"""The state of lowering one graph: which tensor of the file holds which value of the graph."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.layout import shape_in_file
from edgekit.emit.tflite.program import Program, Quantization
from edgekit.errors import CheckError, UnsupportedError
from edgekit.graph import qdq
from edgekit.graph.values import only_reader, shape_of
from edgekit.options import Precision

__all__ = ["Lowering", "attribute_ints", "name_of", "parameters_of"]


def name_of(value: ir.Value | ir.Node) -> str:
    """The name, which canonical graphs always have."""
    assert value.name is not None
    return value.name


def attribute_ints(node: ir.Node, name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """A list attribute, or ``default`` where the node does not carry it."""
    found = node.attributes.get_ints(name)
    return default if found is None else tuple(found)


def parameters_of(node: ir.Node) -> Quantization:
    """Scale and zero point of an activation's ``QuantizeLinear``."""
    scale = qdq.constant(node.inputs[1])
    zero_point = qdq.constant(node.inputs[2]) if len(node.inputs) > 2 else None
    assert scale is not None
    if scale.size != 1:
        raise UnsupportedError(f"{node.name}: TFLite activations are quantized per tensor, not per channel")
    zero = 0 if zero_point is None else int(zero_point.reshape(-1)[0])
    return Quantization.per_tensor(float(scale.reshape(-1)[0]), zero)


class Lowering:
    """Maps values of one graph to tensors of one :class:`Program` while operators are appended."""

    def __init__(self, graph: ir.Graph, precision: Precision) -> None:
        self.graph = graph
        self.precision = precision
        self.program = Program()
        self.absorbed: set[ir.Node] = set()
        self._tensors: dict[ir.Value, int] = {}

    @property
    def integer(self) -> bool:
        """Whether activations are int8."""
        return self.precision == "int8"

    def bind(self, value: ir.Value | None, index: int) -> None:
        """Let tensor ``index`` hold ``value``."""
        assert value is not None
        self._tensors[value] = index

    def operand(self, value: ir.Value | None) -> int:
        """The tensor that holds a computed value."""
        if value is None or value not in self._tensors:
            name = None if value is None else value.name
            raise UnsupportedError(f"{name} is a constant where TFLite needs a computed tensor")
        return self._tensors[value]

    def quantization(self, index: int) -> Quantization:
        """Parameters of an int8 tensor."""
        quantization = self.program.tensors[index].quantization
        assert quantization is not None
        return quantization

    def parameters_for(self, value: ir.Value, inherit: int | None = None) -> Quantization | None:
        """Quantization of the tensor that will hold ``value``; None where tensors are float.

        An activation that stands between the value and its ``QuantizeLinear`` is looked through: a value
        saturated to the activation's output range gives the same result. ``inherit`` names the tensor
        whose parameters a pure movement of data keeps when the graph does not repeat them.
        """
        if not self.integer:
            return None
        quantizer = next((use.node for use in value.uses() if use.node.op_type == "QuantizeLinear"), None)
        if quantizer is not None:
            return parameters_of(quantizer)
        if inherit is not None:
            return self.quantization(inherit)
        following = only_reader(value)
        if following is not None and following.op_type in ("Relu", "Clip"):
            return self.parameters_for(following.outputs[0])
        raise CheckError(
            f"{value.name} is not quantized, so an int8 file cannot hold it",
            hint="quantize the whole graph, or export with precision 'fp32' or 'dynamic'",
        )

    def result(self, value: ir.Value, inherit: int | None = None) -> int:
        """A new tensor that holds ``value``, in the file's layout and the precision's dtype."""
        parameters = self.parameters_for(value, inherit)
        dtype = np.float32 if parameters is None else np.int8
        shape = shape_in_file(shape_of(value))
        index = self.program.add_tensor(name_of(value), shape, dtype, parameters)
        self.bind(value, index)
        return index

    def intermediate(self, name: str, like: int, shape: tuple[int, ...] | None = None) -> int:
        """A new tensor of no value of the graph, with dtype and parameters of tensor ``like``."""
        source = self.program.tensors[like]
        return self.program.add_tensor(name, shape or source.shape, source.dtype, source.quantization)

    def integers(self, *values: int) -> int:
        """A constant int32 vector, such as axes or a shape."""
        return self.program.add_constant(
            f"constant.{'_'.join(map(str, values))}", np.asarray(values, np.int32)
        )
