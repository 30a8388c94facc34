"""The integer contract: what an int8 operator demands of its scales, in all three runtimes at once.

One table, read when quantization parameters are placed. Sources: the TFLite 8-bit quantization
specification, and the integer kernels of LiteRT, onnxruntime and OpenVINO for what they add to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgekit.errors import UnsupportedError
from edgekit.quantize.arithmetic import ActivationParams

__all__ = ["CONTRACT", "WEIGHTED", "WIDE", "Rule", "rule_of"]

Kind = Literal["free", "shared", "fixed"]


@dataclass(frozen=True)
class Rule:
    """How the output's parameters relate to the inputs'; ``sentence`` is the documentation.

    ``free``: chosen from the output's own range. ``shared``: equal to those of every input.
    ``fixed``: the constant ``params``, or ``wide_params`` where activations are int16.
    """

    kind: Kind
    sentence: str
    params: ActivationParams | None = None
    wide_params: ActivationParams | None = None


_WEIGHTED = Rule("free", "weights are symmetric in [-127, 127], the bias is int32 at input × weight scale")
_FREE = Rule("free", "any scale and zero point")
_SHARED = Rule("shared", "input and output have the same scale and zero point")
_CONCAT = Rule("shared", "all inputs and the output have the same scale and zero point")
_WIDE_UNIT = ActivationParams(1 / 32768, 0, bits=16)
_UNIT = Rule(
    "fixed",
    "the output has scale 1/256 and zero point -128, in int16 1/32768 and 0",
    ActivationParams(1 / 256, -128),
    _WIDE_UNIT,
)
_TANH = Rule(
    "fixed",
    "the output has scale 1/128 and zero point 0, in int16 1/32768 and 0",
    ActivationParams(1 / 128, 0),
    _WIDE_UNIT,
)

CONTRACT: dict[str, Rule] = {
    "Add": _FREE,
    "AveragePool": _SHARED,
    "Clip": _FREE,
    "Concat": _CONCAT,
    "Conv": _WEIGHTED,
    "DepthToSpace": _SHARED,
    "Elu": _FREE,
    "Expand": _SHARED,
    "Flatten": _SHARED,
    "Gather": _SHARED,
    "Gelu": _FREE,
    "Gemm": _WEIGHTED,
    "GlobalAveragePool": _FREE,
    "GlobalMaxPool": _SHARED,
    "HardSigmoid": _FREE,
    "HardSwish": _FREE,
    "LeakyRelu": _FREE,
    "MaxPool": _SHARED,
    "Mul": _FREE,
    "PRelu": _FREE,
    "Pad": _SHARED,
    "ReduceMax": _SHARED,
    "ReduceMean": _FREE,
    "ReduceMin": _SHARED,
    "Relu": _FREE,
    "Reshape": _SHARED,
    "Resize": _SHARED,
    "Sigmoid": _UNIT,
    "Slice": _SHARED,
    "Softmax": _UNIT,
    "SpaceToDepth": _SHARED,
    "Sub": _FREE,
    "Tanh": _TANH,
    "Tile": _SHARED,
    "Transpose": _SHARED,
}
"""ONNX operator → its rule. An operator that is absent stays float in an int8 network."""

WEIGHTED = frozenset({"Conv", "Gemm"})
"""Operators whose second input is a weight and whose third is a bias."""


WIDE = frozenset(
    {
        *("Add", "Clip", "Concat", "Conv", "Flatten", "Gemm", "GlobalAveragePool", "MaxPool"),
        *("Mul", "Pad", "Relu", "Reshape", "Sigmoid", "Softmax", "Sub", "Tanh"),
    }
)
"""Operators that LiteRT computes with int16 activations, as a test of each shows."""


def rule_of(op_type: str, node_name: str | None) -> Rule:
    """The operator's rule; :class:`UnsupportedError` naming the node when it has none."""
    rule = CONTRACT.get(op_type)
    if rule is None:
        raise UnsupportedError(
            f"operator {op_type} of node {node_name!r} has no integer form",
            hint="export with --precision fp16 or dynamic, or replace the operator",
        )
    return rule
