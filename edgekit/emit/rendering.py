"""From the one graph to what an ONNX-reading runtime should be given: edits, I/O types, names, census."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import onnx_ir as ir

from edgekit.emit.base import EmitOptions
from edgekit.emit.renderings.io_types import cast_input, set_input_type, set_output_type
from edgekit.errors import CheckError, UnsupportedError
from edgekit.graph import qdq
from edgekit.graph.ops import is_fusable
from edgekit.graph.passes.remove_unused import remove_unused
from edgekit.graph.values import array_of, shape_of
from edgekit.options import IoType, Layout, Precision, TensorSpec

__all__ = ["Edit", "Recipe", "Rendered", "check_integer", "count_dtypes", "render"]

Edit: TypeAlias = Callable[[ir.Model], bool]
Recipe: TypeAlias = Mapping[Precision, Sequence[Edit]]
"""Precision → the edits that say it best to one runtime, in order."""

_LAYOUTS: dict[int, Layout] = {2: "NC", 4: "NCHW"}


@dataclass(frozen=True)
class Rendered:
    """A graph ready to be written, and what the application feeds and reads.

    ``floats`` are the layers of an int8 file that stay float, with what they read and compute, by name.
    """

    model: ir.Model
    input: TensorSpec
    output: TensorSpec
    floats: frozenset[str] = frozenset()
    more_inputs: tuple[TensorSpec, ...] = ()
    more_outputs: tuple[TensorSpec, ...] = ()

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """Inputs, then outputs."""
        return (self.input, *self.more_inputs, self.output, *self.more_outputs)


def render(model: ir.Model, options: EmitOptions, recipe: Recipe) -> Rendered:
    """Apply the recipe for ``options.precision`` to a copy of ``model`` and set its I/O types.

    Raises UnsupportedError when the graph has int16 activations, or integer I/O is asked of a float file,
    or of one with several inputs or outputs; CheckError when ``int8`` is asked of a graph that is not
    quantized throughout.
    """
    input_type, output_type = _io_types(model, options)
    _refuse_wide(model)
    copy = model.clone()
    for edit in recipe[options.precision]:
        edit(copy)
    source = set_input_type(copy, input_type)
    if options.takes_pixels and input_type == "float32":
        input_type = cast_input(copy)
    result = set_output_type(copy, output_type) if options.precision == "int8" else None
    remove_unused(copy)
    floats = _float_names(copy)
    for node in copy.graph:
        node.metadata_props.clear()
    graph = copy.graph
    return Rendered(
        copy,
        _spec(graph.inputs[0], input_type, source),
        _spec(graph.outputs[0], output_type, result),
        floats,
        tuple(_spec(value, input_type, None) for value in graph.inputs[1:]),
        tuple(_spec(value, output_type, None) for value in graph.outputs[1:]),
    )


def _float_names(model: ir.Model) -> frozenset[str]:
    """Layers that stay float, their values, and the constants behind a widening ``Cast``."""
    names: set[str | None] = set()
    for node in model.graph:
        clamp = _float_clamp(node)
        if clamp or qdq.is_float(node):
            names |= {
                node.name,
                *(value.name for value in (*node.inputs, *node.outputs) if value is not None),
            }
    for node in model.graph:
        if node.op_type == "Cast" and node.outputs[0].name in names:
            names.update((node.name, *(value.name for value in node.inputs if value is not None)))
    return frozenset(name for name in names if name)


def _float_clamp(node: ir.Node) -> bool:
    """Whether the node is the clamp of a layer that stays float."""
    producer = node.inputs[0].producer() if is_fusable(node) and node.inputs[0] is not None else None
    return producer is not None and qdq.is_float(producer)


def _refuse_wide(model: ir.Model) -> None:
    wide = [node for node in model.graph if node.op_type == "QuantizeLinear" and _is_int16(node.outputs[0])]
    if wide:
        raise UnsupportedError(
            f"{wide[0].name} makes int16 activations, for which only TFLite has kernels",
            hint="export for --target tflite, or keep the layers float with --keep-float",
        )


def _is_int16(value: ir.Value) -> bool:
    return value.dtype == ir.DataType.INT16


def _io_types(model: ir.Model, options: EmitOptions) -> tuple[IoType, IoType]:
    chosen = options.input_type or "float32", options.output_type or "float32"
    if chosen != ("float32", "float32") and (len(model.graph.inputs), len(model.graph.outputs)) != (1, 1):
        raise UnsupportedError(
            f"integer types of {len(model.graph.inputs)} inputs and {len(model.graph.outputs)} outputs",
            hint="keep float32 input and output",
        )
    if options.precision != "int8" and chosen != ("float32", "float32"):
        types = f"input type {chosen[0]} and output type {chosen[1]}"
        raise UnsupportedError(
            f"{types} need precision int8, not {options.precision}",
            hint="export with precision int8, or keep float32 input and output",
        )
    return chosen


def _spec(value: ir.Value, dtype: IoType, params: qdq.QuantizedTensor | None) -> TensorSpec:
    shape = shape_of(value)
    layout, name = _LAYOUTS.get(len(shape), "NC"), value.name or ""
    if value.dtype == ir.DataType.INT64:
        return TensorSpec(name, shape, layout, "int64")
    if params is None:
        return TensorSpec(name, shape, layout, dtype)
    return TensorSpec(name, shape, layout, dtype, float(params.scale), params.zero_point)


def count_dtypes(model: ir.Model) -> dict[str, int]:
    """Census: dtype → number of tensors, most frequent first.

    Counted are inputs, constants and computed values. Scales and zero points are parameters, not
    tensors; and a float value that ``DequantizeLinear`` gives, or that only ``QuantizeLinear`` reads,
    is notation: a runtime that fuses the pairs never stores it.
    """
    return dict(Counter(_dtype_name(value) for value in _stored_values(model)).most_common())


def check_integer(rendered: Rendered) -> None:
    """Raise CheckError when an int8 file would hold float tensors but its ends and its float layers'."""
    model = rendered.model
    ends = {*model.graph.inputs, *model.graph.outputs}
    stored = (v for v in _stored_values(model) if v not in ends and v.name not in rendered.floats)
    floats = [v.name for v in stored if _dtype_name(v).startswith("float")]
    if floats:
        shown = ", ".join(str(name) for name in floats[:5])
        raise CheckError(
            f"{len(floats)} float tensors in an int8 file: {shown}",
            hint="the graph is not quantized there; export with fp32 or fp16, or quantize it first",
        )


def _stored_values(model: ir.Model) -> list[ir.Value]:
    graph = model.graph
    parameters = {value for node in graph for value in _parameters(node)}
    constants = [v for v in graph.initializers.values() if v not in parameters]
    computed = [v for node in graph for v in node.outputs if not _is_notation(v)]
    return [*graph.inputs, *constants, *computed]


def _parameters(node: ir.Node) -> Sequence[ir.Value | None]:
    """Constants that say how to compute, not what with: scales, zero points, bounds, factors, fill values."""
    takes = ("QuantizeLinear", "DequantizeLinear", "Clip", "Pad", "Resize")
    return node.inputs[1:] if node.op_type in takes else ()


def _is_notation(value: ir.Value) -> bool:
    producer = value.producer()
    if value.is_graph_output() or producer is None:
        return False
    if producer.op_type == "DequantizeLinear":
        return True
    uses = [use.node for use in value.uses()]
    return bool(uses) and all(node.op_type == "QuantizeLinear" for node in uses)


def _dtype_name(value: ir.Value) -> str:
    array = array_of(value)
    if array is not None:
        return str(array.dtype.name)
    assert value.dtype is not None, f"{value.name} has no dtype"
    return str(value.dtype.numpy().name)
