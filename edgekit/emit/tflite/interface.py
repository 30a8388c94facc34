"""What the application feeds and reads: the input's and the output's type."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from edgekit.emit.tflite.program import Operator, Program, Quantization
from edgekit.errors import UnsupportedError
from edgekit.options import ElementType, IoType, Layout, Precision, TensorSpec

__all__ = ["set_interface"]

_UINT8_OFFSET = 128  # int8 and uint8 of one scale differ by this zero point


def _outer_quantization(inner: Quantization, io_type: IoType) -> Quantization | None:
    if io_type == "float32":
        return None
    offset = _UINT8_OFFSET if io_type == "uint8" else 0
    return Quantization(inner.scale, inner.zero_point + offset)


def _add_outer(program: Program, inner: int, io_type: IoType) -> int:
    """A tensor of the application's type that takes over the name of the int8 tensor ``inner``."""
    tensor = program.tensors[inner]
    assert tensor.quantization is not None
    program.tensors[inner] = replace(tensor, name=f"{tensor.name}.quantized")
    quantization = _outer_quantization(tensor.quantization, io_type)
    return program.add_tensor(tensor.name, tensor.shape, np.dtype(io_type), quantization)


def _set_input(program: Program, position: int, io_type: IoType) -> None:
    inner = program.inputs[position]
    outer = _add_outer(program, inner, io_type)
    program.operators.insert(0, Operator("QUANTIZE", (outer,), (inner,)))
    program.inputs[position] = outer


def _take_pixels(program: Program) -> None:
    """Let the float input take uint8, widened by a DEQUANTIZE of scale 1."""
    inner = program.inputs[0]
    tensor = program.tensors[inner]
    program.tensors[inner] = replace(tensor, name=f"{tensor.name}.float")
    outer = program.add_tensor(tensor.name, tensor.shape, np.uint8, Quantization.per_tensor(1.0, 0))
    program.operators.insert(0, Operator("DEQUANTIZE", (outer,), (inner,)))
    program.inputs[0] = outer


def _set_output(program: Program, position: int, io_type: IoType) -> None:
    inner = program.outputs[position]
    outer = _add_outer(program, inner, io_type)
    code = "DEQUANTIZE" if io_type == "float32" else "QUANTIZE"
    program.operators.append(Operator(code, (inner,), (outer,)))
    program.outputs[position] = outer


def _spec(program: Program, index: int) -> TensorSpec:
    tensor = program.tensors[index]
    order: Layout = "NCHW" if tensor.name in program.in_graph_order else "NHWC"
    layout: Layout = order if len(tensor.shape) == 4 else "NC"
    dtype = cast(ElementType, tensor.dtype.name)
    if tensor.quantization is None:
        return TensorSpec(tensor.name, tensor.shape, layout, dtype)
    scale, zero_point = float(tensor.quantization.scale[0]), tensor.quantization.zero_point
    return TensorSpec(tensor.name, tensor.shape, layout, dtype, scale, zero_point)


def set_interface(
    program: Program,
    precision: Precision,
    input_type: IoType | None,
    output_type: IoType | None,
    *,
    takes_pixels: bool = False,
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Give a program's inputs and outputs the application's types; returns what they are, in their order.

    The inputs' default is int8 for an int8 program and float32 for the others, which have no other choice:
    int16 stays inside.
    The outputs' default is the input's type: who feeds bytes reads bytes, and TFLite Support, which knows
    uint8 and float32 only, can read what it can feed. What the network computes in float or as indices
    stays so.
    With ``takes_pixels`` a float program's input is uint8 too, its numbers 0 to 255.
    """
    default: IoType = "int8" if precision == "int8" else "float32"
    chosen = input_type or default, output_type or input_type or default
    if default == "float32" and chosen != ("float32", "float32"):
        raise UnsupportedError(
            f"input type {chosen[0]} and output type {chosen[1]} need precision int8, not {precision}",
            hint="export with precision int8, or keep float32 input and output",
        )
    for position, index in enumerate(program.inputs):
        if program.tensors[index].dtype.name != chosen[0]:
            _set_input(program, position, chosen[0])
    if takes_pixels and default == "float32":
        _take_pixels(program)
    for position, index in enumerate(program.outputs):
        tensor = program.tensors[index]
        if tensor.dtype.name != chosen[1] and tensor.quantization is not None:
            _set_output(program, position, chosen[1])
    inputs, outputs = (
        tuple(_spec(program, index) for index in indices) for indices in (program.inputs, program.outputs)
    )
    return inputs, outputs
