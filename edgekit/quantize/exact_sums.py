"""Scales with which an addition of integers comes out the same on every processor.

ONNX Runtime adds two int8 tensors in float32: each times the ratio of its scale to the sum's. On Arm that is
a fused multiply-add, on x86 two roundings, and ties go to other sides, so that in a deep residual network a
number of the answer differs by a step or more. Where both ratios are fractions of one odd number, no sum is
a tie, nor nearer to one than what float32 rounds: it does not matter who computes it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from edgekit.quantize.arithmetic import INT8_MAX, INT8_MIN, ActivationParams
from edgekit.quantize.plan import Layer, Plan

__all__ = ["with_exact_sums"]

_LEVELS = INT8_MAX - INT8_MIN
_DIGITS = 2.0**20  # sixteen times coarser than a float32's: a sum takes two products and two additions
_LEAST = 20  # fractions: with fewer, the nearest may be more than a fortieth away


def with_exact_sums(
    plan: Plan, params: Mapping[str, ActivationParams], settled: Collection[str] = ()
) -> dict[str, ActivationParams]:
    """``params`` of values, with scales of what additions read changed by at most a fortieth.

    Mostly it is a thousandth; what changes more has steps far smaller than the sum's. ``settled`` values,
    and those whose scale an operator decides, keep theirs; so does what two additions read, for the second.
    """
    found = dict(params)
    done = {*plan.fixed, *(plan.group_of[name] for name in settled)}
    for layer in reversed(plan.layers):
        if layer.op_type != "Add" or layer.precision != "int8":
            continue
        done.add(plan.group_of[layer.output])
        for name, scale in _fractions(layer, found).items():
            index = plan.group_of[name]
            if index not in done:
                done.add(index)
                found.update(dict.fromkeys(plan.groups[index], replace(found[name], scale=scale)))
    return found


def _fractions(layer: Layer, params: Mapping[str, ActivationParams]) -> dict[str, float]:
    """For each value that the layer reads the nearest scale that is a fraction of its output's."""
    step = params[layer.output].scale
    scales = {name: params[name].scale for name in layer.inputs}
    reach = _LEVELS * (1 + sum(scales.values()) / step)
    odd = 2 ** int(np.log2(_DIGITS / reach)) - 1
    counts = {name: round(scale / step * odd) for name, scale in scales.items()}
    return {
        name: float(np.float32(step * counts[name] / odd)) if counts[name] >= _LEAST else scale
        for name, scale in scales.items()
    }
