"""What integer operators require of scales and zero points, from the TFLite 8-bit specification.

A runtime does not check all of this; a kernel given other parameters answers wrongly or refuses late.
Each constraint's sentence is its error message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection

import numpy as np

from edgekit.emit.tflite.program import Operator, Program, Tensor
from edgekit.errors import CheckError

__all__ = ["CONSTRAINTS", "check_integer_program", "count_dtypes"]

Check = Callable[[list[Tensor], Tensor], bool]

_WEIGHTED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
_BIAS_TOLERANCE = 1e-5  # relative; scales are float32 products


def _same_parameters(inputs: list[Tensor], output: Tensor) -> bool:
    return all(
        tensor.quantization is not None and tensor.quantization.same_as(output.quantization)
        for tensor in inputs
        if tensor.dtype in (np.int8, np.int16)
    )


def _fixed_output(scale: float, zero_point: int) -> Check:
    def check(inputs: list[Tensor], output: Tensor) -> bool:
        found = output.quantization
        wanted = (1 / 32768, 0) if output.dtype == np.int16 else (scale, zero_point)
        return found is not None and (float(found.scale[0]), found.zero_point) == wanted

    return check


def _bias_scale(inputs: list[Tensor], output: Tensor) -> bool:
    source, weight, bias = (tensor.quantization for tensor in inputs[:3])
    if source is None or weight is None or bias is None or bias.zero_point != 0:
        return False
    product = source.scale * weight.scale
    return bias.scale.shape == product.shape and np.allclose(
        bias.scale, product, rtol=_BIAS_TOLERANCE, atol=0
    )


def _symmetric_weights(inputs: list[Tensor], output: Tensor) -> bool:
    return inputs[1].quantization is not None and inputs[1].quantization.zero_point == 0


_WEIGHTS = (
    ("weights must have zero point 0", _symmetric_weights),
    ("the bias must have scale = input scale × weight scale and zero point 0", _bias_scale),
)
_KEEPS = (("input and output must have the same scale and zero point", _same_parameters),)

CONSTRAINTS: dict[str, tuple[tuple[str, Check], ...]] = {
    "AVERAGE_POOL_2D": _KEEPS,
    "CONCATENATION": (("all inputs must have the output's scale and zero point", _same_parameters),),
    "CONV_2D": _WEIGHTS,
    "DEPTHWISE_CONV_2D": _WEIGHTS,
    "FULLY_CONNECTED": _WEIGHTS,
    "LOGISTIC": (("the output must have scale 1/256 and zero point -128", _fixed_output(1 / 256, -128)),),
    "MAXIMUM": _KEEPS,
    "MAX_POOL_2D": _KEEPS,
    "MINIMUM": _KEEPS,
    "PAD": _KEEPS,
    "PADV2": _KEEPS,
    "RESHAPE": _KEEPS,
    "RESIZE_BILINEAR": _KEEPS,
    "RESIZE_NEAREST_NEIGHBOR": _KEEPS,
    "SOFTMAX": (("the output must have scale 1/256 and zero point -128", _fixed_output(1 / 256, -128)),),
    "TANH": (("the output must have scale 1/128 and zero point 0", _fixed_output(1 / 128, 0)),),
    "TRANSPOSE": _KEEPS,
}
"""Operator → its constraints, each a sentence and a check of (inputs, output)."""


def _check_wide(program: Program) -> None:
    for tensor in program.tensors:
        if tensor.dtype == np.int16 and (tensor.quantization is None or tensor.quantization.zero_point):
            raise CheckError(f"{tensor.name} is int16, which kernels take with zero point 0 only")


def _check_scales(program: Program) -> None:
    """Delegates refuse a scale that is not a positive normal number, even of a channel that is all zeros."""
    for tensor in program.tensors:
        if tensor.quantization is None:
            continue
        scale = tensor.quantization.scale
        if not np.all(np.isfinite(scale) & (scale >= np.finfo(np.float32).tiny)):
            raise CheckError(f"{tensor.name} has the scale {scale.min():g}, expected positive normal numbers")


def _check_operator(operator: Operator, tensors: list[Tensor]) -> None:
    inputs = [tensors[index] for index in operator.inputs]
    output = tensors[operator.outputs[0]]
    if inputs[0].dtype.kind == "f":
        return
    for sentence, holds in CONSTRAINTS.get(operator.code, ()):
        if not holds(inputs, output):
            raise CheckError(f"{operator.code} {output.name}: {sentence}")


def _check_floats_are_meant(program: Program, exempt: Collection[str]) -> None:
    """Weights meet float activations in ``exempt`` layers only, and without any no tensor is float."""
    outside = {*program.inputs, *program.outputs}
    inside = [
        tensor.name
        for index, tensor in enumerate(program.tensors)
        if tensor.dtype.kind == "f" and index not in outside
    ]
    if inside and not exempt:
        raise CheckError(f"{len(inside)} float tensors in an int8 file: {', '.join(inside[:5])}")
    for operator in program.operators:
        output = program.tensors[operator.outputs[0]]
        if operator.code in _WEIGHTED and output.dtype.kind == "f" and output.name not in exempt:
            raise CheckError(f"{operator.code} {output.name} of an int8 file computes in float")


def check_integer_program(program: Program, exempt: Collection[str] = ()) -> None:
    """Raise CheckError unless every operator computes in integers and obeys its constraints.

    ``exempt`` are the values that float layers of the graph compute: those layers may be float.
    """
    _check_scales(program)
    _check_wide(program)
    for operator in program.operators:
        _check_operator(operator, program.tensors)
    _check_floats_are_meant(program, exempt)


def count_dtypes(program: Program) -> dict[str, int]:
    """Census: dtype → number of tensors, most frequent first."""
    return dict(Counter(tensor.dtype.name for tensor in program.tensors).most_common())
