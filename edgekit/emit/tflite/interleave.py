"""Channel shuffle without a transposition: the channels of a few groups, taken in turn.

``[…, groups, size] → […, size, groups]`` is a transposition of the innermost axes, which moves single
elements. As a concatenation of the groups along a new innermost axis it is what every delegate takes; and
where the groups were just concatenated, they are there already.
"""

from __future__ import annotations

import math

from edgekit.emit.tflite.lowering import Lowering

__all__ = ["interleave", "is_interleaving"]

_MOST_GROUPS = 5  # that XNNPACK concatenates at once


def is_interleaving(shape: tuple[int, ...], perm: tuple[int, ...]) -> bool:
    """Whether a transposition of a tensor of ``shape`` takes few groups of channels in turn."""
    rank = len(shape)
    swapped = (*range(rank - 2), rank - 1, rank - 2)
    return rank > 2 and perm == swapped and 1 < shape[-2] <= _MOST_GROUPS


def interleave(lowering: Lowering, source: int, name: str) -> int:
    """``[…, groups, size]`` as ``[…, size, groups]``, named after the layer that shuffles."""
    *outer, groups, size = lowering.program.tensors[source].shape
    columns = [lowering.reshaped(part, (*outer, size, 1)) for part in _parts(lowering, source, groups, size)]
    target = lowering.intermediate(f"{name}.interleaved", source, (*outer, size, groups))
    axis = len(outer) + 1
    lowering.program.add_operator("CONCATENATION", columns, [target], axis=axis, fusedActivationFunction=0)
    return target


def _parts(lowering: Lowering, source: int, groups: int, size: int) -> list[int]:
    """The groups: what was concatenated, or else slices."""
    program = lowering.program
    producers = program.producers()
    reshape = producers.get(source)
    whole = reshape.inputs[0] if reshape is not None and reshape.code == "RESHAPE" else source
    shape = program.tensors[whole].shape
    concatenation = producers.get(whole)
    if concatenation is not None and concatenation.code == "CONCATENATION":
        found = list(concatenation.inputs)
        along_last = concatenation.options.get("axis") == len(shape) - 1
        if along_last and [program.tensors[index].shape[-1] for index in found] == [size] * groups:
            return found
    if shape[-1] != groups * size or math.prod(shape) != math.prod(program.tensors[source].shape):
        whole, shape = source, program.tensors[source].shape
    return [_slice(lowering, whole, i, groups, size) for i in range(groups)]


def _slice(lowering: Lowering, whole: int, index: int, groups: int, size: int) -> int:
    """Group ``index`` of ``[…, groups * size]`` or ``[…, groups, size]``."""
    tensor = lowering.program.tensors[whole]
    begin, extent = [0] * len(tensor.shape), list(tensor.shape)
    if extent[-1] == groups * size:
        begin[-1], extent[-1] = index * size, size
    else:
        begin[-2], extent[-2] = index, 1
    target = lowering.intermediate(f"{tensor.name}.group{index}", whole, tuple(extent))
    bounds = [lowering.integers(*begin), lowering.integers(*extent)]
    lowering.program.add_operator("SLICE", [whole, *bounds], [target])
    return target
