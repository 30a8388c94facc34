"""The state of lowering one graph: which tensor of the file holds which value, and in which layout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.layout import Layout, default_layout, permutation, same_order, shape_in_file
from edgekit.emit.tflite.program import Array, Program, Quantization
from edgekit.emit.tflite.views import view
from edgekit.errors import CheckError, UnsupportedError
from edgekit.graph import qdq
from edgekit.graph.values import only_reader, shape_of
from edgekit.options import Precision

__all__ = ["Lowering", "Stored", "attribute_ints", "name_of", "parameters_of"]


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
    zero = np.zeros(1, np.int8) if zero_point is None else zero_point.reshape(-1)
    return Quantization.per_tensor(float(scale.reshape(-1)[0]), int(zero[0]), zero.dtype)


@dataclass(frozen=True)
class Stored:
    """A tensor of the file, and the order in which it holds the value's axes."""

    index: int
    layout: Layout


class Lowering:
    """Maps values of one graph to tensors of one :class:`Program` while operators are appended.

    ``flattened`` has, for values that a classifier reads flat, the value that is held instead.
    """

    def __init__(self, graph: ir.Graph, precision: Precision) -> None:
        self.graph = graph
        self.precision = precision
        self.program = Program()
        self.absorbed: set[ir.Node] = set()
        self.flattened: dict[ir.Value, ir.Value] = {}
        self._held: dict[ir.Value, Stored] = {}
        self._copies: dict[tuple[int, tuple[int, ...]], int] = {}
        self._reals: dict[int, int] = {}
        self._in_float = False

    @property
    def integer(self) -> bool:
        """Whether the operators being appended compute in integers."""
        return self.precision == "int8" and not self._in_float

    @contextmanager
    def in_float(self) -> Iterator[None]:
        """Operators appended inside compute in float32, in a file of any precision."""
        before, self._in_float = self._in_float, True
        try:
            yield
        finally:
            self._in_float = before

    def bind(self, value: ir.Value | None, index: int, layout: Layout | None = None) -> None:
        """Let tensor ``index`` hold ``value``."""
        assert value is not None
        self._held[value] = Stored(index, layout or default_layout(len(shape_of(value))))

    def stored(self, value: ir.Value | None) -> Stored:
        """The tensor that holds a computed value, in whichever layout it was made."""
        if value is None or value not in self._held:
            name = None if value is None else value.name
            raise UnsupportedError(f"{name} is a constant where TFLite needs a computed tensor")
        held = self._held[value]
        return Stored(self._real(held.index), held.layout) if self._in_float else held

    def operand(self, value: ir.Value | None, layout: Layout | None = None) -> int:
        """The tensor that holds a computed value in ``layout``, transposed where it is held in another."""
        held = self.stored(value)
        shape = shape_of(value)
        wanted = layout or default_layout(len(shape))
        if held.layout == wanted:
            return held.index
        stored = shape_in_file(shape, wanted)
        if same_order(shape, held.layout, wanted):
            return self.reshaped(held.index, stored)
        return self.transposed(held.index, permutation(held.layout, wanted))

    def viewed(self, value: ir.Value | None, shape: tuple[int, ...], layout: Layout | None = None) -> Stored:
        """The tensor of a computed value seen in another shape of as many elements.

        In ``layout``, or in whichever costs no transposition.
        """
        seen = view(shape_of(value), shape, self.stored(value).layout)
        source = self.reshaped(self.operand(value, seen.source), shape_in_file(shape, seen.result))
        if layout is None or layout == seen.result:
            return Stored(source, seen.result)
        if same_order(shape, seen.result, layout):
            return Stored(self.reshaped(source, shape_in_file(shape, layout)), layout)
        return Stored(self.transposed(source, permutation(seen.result, layout)), layout)

    def transposed(self, source: int, perm: tuple[int, ...]) -> int:
        """A transposed copy of a tensor, made once."""
        key = (source, perm)
        if key not in self._copies:
            tensor = self.program.tensors[source]
            shape = tuple(tensor.shape[axis] for axis in perm)
            target = self.intermediate(f"{tensor.name}.transposed", source, shape)
            self.program.add_operator("TRANSPOSE", [source, self.integers(*perm)], [target])
            self._copies[key] = target
        return self._copies[key]

    def reshaped(self, source: int, shape: tuple[int, ...]) -> int:
        """The same elements in another shape."""
        tensor = self.program.tensors[source]
        if tensor.shape == shape:
            return source
        target = self.intermediate(f"{tensor.name}.reshaped", source, shape)
        sizes = self.integers(*shape)
        self.program.add_operator("RESHAPE", [source, sizes], [target], newShape=shape)
        return target

    def is_real(self, value: ir.Value | None) -> bool:
        """Whether a value is computed, and held in float32."""
        if value is None or value not in self._held:
            return False
        return self.program.tensors[self._held[value].index].dtype == np.float32

    def _real(self, index: int) -> int:
        """The float32 tensor of an integer one."""
        tensor = self.program.tensors[index]
        if tensor.quantization is None:
            return index
        if index not in self._reals:
            real = self.program.add_tensor(f"{tensor.name}.real", tensor.shape, np.float32)
            self.program.add_operator("DEQUANTIZE", [index], [real])
            self._reals[index] = real
        return self._reals[index]

    def quantization(self, index: int) -> Quantization:
        """Parameters of an int8 tensor."""
        quantization = self.program.tensors[index].quantization
        assert quantization is not None
        return quantization

    def parameters_for(self, value: ir.Value, inherit: int | None = None) -> Quantization | None:
        """Quantization of the tensor that will hold ``value``; None where tensors are float, and of indices.

        An activation that stands between the value and its ``QuantizeLinear`` is looked through: a value
        saturated to the activation's output range gives the same result. ``inherit`` names the tensor
        whose parameters a pure movement of data keeps when the graph does not repeat them.
        """
        if not self.integer or value.dtype == ir.DataType.INT64:
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

    def result(self, value: ir.Value, inherit: int | None = None, layout: Layout | None = None) -> int:
        """A new tensor that holds ``value``, in ``layout`` and the precision's dtype."""
        is_truth = value.dtype == ir.DataType.BOOL
        parameters = None if is_truth else self.parameters_for(value, inherit)
        dtype = np.dtype(np.bool_ if is_truth else np.float32) if parameters is None else parameters.dtype
        shape = shape_in_file(shape_of(value), layout)
        index = self.program.add_tensor(name_of(value), shape, dtype, parameters)
        self.bind(value, index, layout)
        return index

    def intermediate(self, name: str, like: int, shape: tuple[int, ...] | None = None) -> int:
        """A new tensor of no value of the graph, with dtype and parameters of tensor ``like``."""
        source = self.program.tensors[like]
        shape = source.shape if shape is None else shape
        return self.program.add_tensor(name, shape, source.dtype, source.quantization)

    def apply(self, code: str, inputs: list[int], shape: tuple[int, ...], name: str) -> int:
        """Append an operator without options that computes a new float32 tensor."""
        target = self.program.add_tensor(name, shape, np.float32)
        self.program.add_operator(code, inputs, [target])
        return target

    def constant(self, name: str, array: Array) -> int:
        """A constant that is no activation."""
        return self.program.add_constant(name, array)

    def integers(self, *values: int) -> int:
        """A constant int32 vector, such as axes or a shape; UnsupportedError for numbers beyond int32."""
        if any(not -(2**31) <= value < 2**31 for value in values):
            raise UnsupportedError(f"sizes {list(values)} are larger than TFLite can index")
        return self.program.add_constant(
            f"constant.{'_'.join(map(str, values))}", np.asarray(values, np.int32)
        )
