"""What is known about operators beyond their shapes: limits of the supported ones, ways around the others.

The page of supported operators and the errors about missing ones are made of these two tables.
"""

from __future__ import annotations

__all__ = ["LIMITS", "WAYS_AROUND", "way_around"]

LIMITS: dict[str, str] = {
    "ArgMax": "the first of equal extremes; int64 indices",
    "ArgMin": "the first of equal extremes; int64 indices",
    "AveragePool": "one or two spatial axes, no dilation",
    "BatchNormalization": "in evaluation mode, with constant statistics; folded into the layer before it",
    **dict.fromkeys(
        ("Cast", "CastLike"),
        "of constants, to float32, from bool to float32, or of indices, which stay int64",
    ),
    "Clip": "constant scalar bounds",
    "Conv": "constant weights and bias, one or two spatial axes",
    "ConvTranspose": "constant weights and bias, one or two spatial axes; groups become zeros of a dense one",
    "Dropout": "in evaluation mode: removed",
    "Expand": "to a constant shape",
    "Gather": "constant indices",
    "GroupNormalization": "constant scale and bias",
    "HardSigmoid": "any slope; 1/6 and 1/2 in one piece",
    "InstanceNormalization": "constant scale and bias",
    "LRN": "an odd number of channels in TFLite",
    "LayerNormalization": "its mean and deviation are not read",
    "MaxPool": "one or two spatial axes, its indices are not read",
    "Pad": "constant amounts; constant, reflect, edge and wrap",
    "PRelu": "constant slopes",
    "Reshape": "to a constant shape",
    "Resize": "in TFLite nearest with any coordinates, linear with half_pixel, align_corners or asymmetric "
    "ones; two axes",
    "SequenceAt": "of SplitToSequence, by a constant",
    "Slice": "constant bounds",
    "SpaceToDepth": "mode DCR",
    "Split": "constant lengths",
    "SplitToSequence": "read by SequenceAt only",
    "Tile": "a constant number of times",
    "Transpose": "moves nothing in TFLite until a layer needs another order",
    "Upsample": "as Resize",
}
"""Operator → which of its forms are supported, where not all are."""

_CONTROL = "export the model with static control flow (torch.export, or tracing)"
_POSTPROCESSING = "cut the model before its post-processing, and run that in the application"

WAYS_AROUND: dict[str, str] = {
    **dict.fromkeys(("If", "Loop", "Scan", "SequenceMap"), _CONTROL),
    **dict.fromkeys(("NonMaxSuppression", "TopK", "RoiAlign", "NonZero", "Unique"), _POSTPROCESSING),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), "recurrent networks are not supported"),
    "Attention": "export the model for opset 18, where attention is matrix products and a softmax",
    "DeformConv": "train with a plain convolution; no mobile runtime has deformable ones",
    "Einsum": "write it as MatMul, Mul and ReduceSum",
    "GatherElements": "use Gather with constant indices",
    "GatherND": "use Gather with constant indices, one axis at a time",
    "GridSample": "use Resize where the grid is regular",
    "Hardmax": "use ArgMax",
    "MaxUnpool": "use Resize with mode nearest, or ConvTranspose",
    "Xor": "write it as And, Or and Not",
}
"""Operator that has no form in edgekit → what to do instead."""


def way_around(op_type: str) -> str:
    """What to do about an operator that is not supported."""
    return WAYS_AROUND.get(op_type, "replace the operator in the model, or cut the model before it")
