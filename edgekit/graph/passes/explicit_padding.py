"""Make padding static: ``auto_pad`` and ``ceil_mode`` become explicit pads.

With static shapes both are plain numbers. ``ceil_mode`` adds a last, partial window, which is the same as
padding the end: max pooling ignores padding, average pooling must not count it.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.graph.edit import add_before, constant_before, with_attributes
from edgekit.graph.values import required, shape_of

__all__ = ["explicit_padding"]

_SAME = ("SAME_UPPER", "SAME_LOWER")


def explicit_padding(model: ir.Model) -> bool:
    """Replace ``auto_pad`` and ``ceil_mode`` of convolutions and pools by pads."""
    modified = False
    for node in list(model.graph):
        if node.op_type not in ("Conv", "ConvTranspose", "MaxPool", "AveragePool"):
            continue
        modified |= _fix_auto_pad(node)
        if node.op_type in ("MaxPool", "AveragePool"):
            modified |= _fix_ceil_mode(node)
    return modified


def _fix_auto_pad(node: ir.Node) -> bool:
    mode = node.attributes.get_string("auto_pad")
    is_transposed = node.op_type == "ConvTranspose"
    if is_transposed and (mode in _SAME or "output_shape" in node.attributes):
        with_attributes(node, {"pads": _transposed_pads(node, mode)})
        node.attributes.pop("output_shape", None)
        node.attributes.pop("auto_pad", None)
        return True
    if mode is None:
        return False
    if mode in _SAME:
        with_attributes(node, {"pads": _same_pads(node, mode)})
    elif mode == "VALID":
        with_attributes(node, {"pads": [0] * len(_ints(node, "pads"))})
    node.attributes.pop("auto_pad")
    return True


def _transposed_pads(node: ir.Node, mode: str | None) -> list[int]:
    """What a transposed convolution makes beyond its stated output; an odd element as ONNX says."""
    made = shape_of(node.outputs[0])[2:]
    extra = list(node.attributes.get_ints("output_padding", [0] * len(made)))
    begins, ends = [], []
    for i, ((size, kernel, stride), out) in enumerate(zip(_axes(node), made, strict=True)):
        total = stride * (size - 1) + extra[i] + kernel - out
        if total < 0:  # more than is computed: rows of nothing but bias
            extra[i], total = extra[i] - total, 0
        small, large = total // 2, total - total // 2
        begins.append(small if mode == "SAME_UPPER" else large)
        ends.append(large if mode == "SAME_UPPER" else small)
    with_attributes(node, {"output_padding": extra})
    return begins + ends


def _same_pads(node: ir.Node, mode: str) -> list[int]:
    """Pads for ceil(size / stride) windows; an odd one goes to the end (UPPER) or the begin (LOWER)."""
    begins, ends = [], []
    for size, kernel, stride in _axes(node):
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        small, large = total // 2, total - total // 2
        begins.append(small if mode == "SAME_UPPER" else large)
        ends.append(large if mode == "SAME_UPPER" else small)
    return begins + ends


def _fix_ceil_mode(node: ir.Node) -> bool:
    ceil_mode = node.attributes.pop("ceil_mode", None)
    if ceil_mode is None:
        return False
    if not ceil_mode.as_int():
        return True
    pads = _ints(node, "pads")
    rank = len(pads) // 2
    windows = shape_of(node.outputs[0])[2:]
    ends = []
    for i, (size, kernel, stride) in enumerate(_axes(node)):
        needed = (windows[i] - 1) * stride + kernel - size - pads[i]
        ends.append(max(needed, pads[rank + i]))
    if ends == pads[rank:]:
        return True
    include = node.attributes.get_int("count_include_pad", 0)
    if include and any(pads):
        # The given pads count in the average, those of the partial window do not.
        _pad_outside(node, pads)
        extra = [end - pad for end, pad in zip(ends, pads[rank:], strict=True)]
        return with_attributes(node, {"pads": [0] * rank + extra, "count_include_pad": 0})
    changed = {"pads": pads[:rank] + ends}
    if include:
        with_attributes(node, {"count_include_pad": 0})
    return with_attributes(node, changed)


def _pad_outside(node: ir.Node, pads: list[int]) -> None:
    rank = len(pads) // 2
    amounts = np.array([0, 0, *pads[:rank], 0, 0, *pads[rank:]], np.int64)
    padded = add_before(
        node, "Pad", [required(node, 0), constant_before(node, "pads", amounts)], {"mode": "constant"}
    )
    node.replace_input_with(0, padded)


def _axes(node: ir.Node) -> list[tuple[int, int, int]]:
    """(input size, dilated kernel, stride) of each spatial axis."""
    kernel, strides = _ints(node, "kernel_shape"), _ints(node, "strides")
    dilations = list(node.attributes.get_ints("dilations", [1] * len(kernel)))
    sizes = shape_of(required(node, 0))[2:]
    return [
        (size, (k - 1) * d + 1, s) for size, k, d, s in zip(sizes, kernel, dilations, strides, strict=True)
    ]


def _ints(node: ir.Node, name: str) -> list[int]:
    return list(node.attributes.get_ints(name, ()))
