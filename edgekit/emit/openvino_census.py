"""What an OpenVINO model is made of: tensors by dtype, and whether an int8 one is int8."""

from __future__ import annotations

from collections import Counter
from typing import Any

from edgekit.errors import CheckError

__all__ = ["check_integer", "count_dtypes"]

_LAYERS = frozenset({"Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul"})
_WRAPPERS = frozenset({"Convert", "Multiply", "Reshape", "Subtract", "Transpose"})
"""Operators that dequantize or rearrange integers on their way into a layer."""
_INTEGERS = ("int8", "uint8")
_INDEX_TYPES = ("int64", "int32")


def count_dtypes(model: Any) -> dict[str, int]:
    """Census of an ``openvino.Model``: dtype → number of tensors, most frequent first.

    Counted are inputs, weights, biases, and each ``FakeQuantize``'s result as uint8. Scales, zero points
    and shapes are parameters, not tensors.
    """
    counts: Counter[str] = Counter()
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        if kind == "FakeQuantize":
            counts["uint8"] += 1
        elif kind == "Parameter" or (kind == "Constant" and _is_tensor(node)):
            counts[_dtype(node)] += 1
    return dict(counts.most_common())


def check_integer(model: Any, exempt: frozenset[str] = frozenset()) -> None:
    """Raise CheckError unless every layer but ``exempt`` reads int8 weights and quantized activations."""
    for node in model.get_ordered_ops():
        if node.get_type_name() not in _LAYERS or _is_one_of(node, exempt):
            continue
        sources = [_origin(value.get_source_output().get_node()) for value in node.inputs()[:2]]
        # OpenVINO renames a layer that it takes apart; what the layer reads keeps its name.
        floats = [
            source.get_friendly_name()
            for source in sources
            if not _is_quantized(source) and not _is_one_of(source, exempt)
        ]
        if floats:
            raise CheckError(
                f"{node.get_friendly_name()} of an int8 file reads float values: {', '.join(floats)}",
                hint="the graph is not quantized there; export with fp32 or fp16, or quantize it first",
            )


def _is_one_of(node: Any, names: frozenset[str]) -> bool:
    """Whether an operator of the converted model is, or is a part of, one that the graph calls so."""
    return node.get_friendly_name().split("/")[0] in names


def _origin(node: Any) -> Any:
    """What a layer's input is before it was dequantized or rearranged."""
    while node.get_type_name() in _WRAPPERS:
        node = node.input_value(0).get_node()
    return node


def _is_quantized(node: Any) -> bool:
    return node.get_type_name() == "FakeQuantize" or _dtype(node) in _INTEGERS


def _is_tensor(constant: Any) -> bool:
    """Whether a constant is data that a layer reads: not a range, scale, zero point, axis or shape."""
    readers = [target.get_node() for target in constant.output(0).get_target_inputs()]
    if any(reader.get_type_name() == "Convert" for reader in readers):
        return True
    if _dtype(constant) in _INDEX_TYPES:
        return False
    return not all(_takes_parameter(reader) for reader in readers)


def _takes_parameter(reader: Any) -> bool:
    kind = reader.get_type_name()
    if kind in ("Multiply", "Subtract"):
        return reader.input_value(0).get_node().get_type_name() in ("Convert", "Subtract")
    return kind in ("FakeQuantize", "Clamp")


def _dtype(node: Any) -> str:
    return str(node.get_output_element_type(0).to_dtype().name)
