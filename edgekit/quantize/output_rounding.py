"""A layer's weights rounded by its output error on sampled inputs."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.graph.pair_sums import Pairs, pair_bounds, pairs_of
from edgekit.quantize.arithmetic import ActivationParams, FloatArray, Int8Array, IntArray
from edgekit.quantize.options import QuantizeOptions
from edgekit.quantize.patches import independent_rows, sample_patches, wanted_rows
from edgekit.quantize.rounding import round_best, round_compensated, second_moments

__all__ = ["round_by_output", "weight_bounds"]

_SEED = 0


def round_by_output(
    node: ir.Node,
    weight: FloatArray,
    scale: FloatArray,
    inputs: IntArray | FloatArray,
    params: ActivationParams | None,
    options: QuantizeOptions,
    pairs: Pairs | None = None,
) -> tuple[Int8Array, FloatArray] | None:
    """The integers of a ``Conv``'s or ``Gemm``'s weight, and the scale that they take.

    ``scale`` is the smallest, of each output or of all; ``inputs`` are what the layer reads (see
    :func:`~edgekit.quantize.patches.sample_patches`). None where they are too few to know how the inputs of
    an output go together. ``pairs`` of weights keep within what fits 16 bits, at a scale that lets them: see
    :mod:`edgekit.graph.pair_sums`.
    """
    groups = node.attributes.get_int("group", 1)
    rows = weight.reshape(groups, weight.shape[0] // groups, -1)
    patches = sample_patches(node, inputs, params, wanted_rows(rows.shape[2]), _SEED)
    if patches.shape[1] < rows.shape[2]:
        return None
    moments = second_moments(patches, independent=independent_rows(inputs), centered=options.bias_correction)
    scales = np.broadcast_to(scale, weight.shape[:1]).reshape(groups, -1)
    if options.weight_scales == "largest" or scale.ndim == 0:
        return round_compensated(rows, scales, moments, pairs).reshape(weight.shape), scale
    integers, chosen = round_best(rows, scales, moments, pairs)
    return integers.reshape(weight.shape), chosen.reshape(-1)


def weight_bounds(
    node: ir.Node, integers: FloatArray | Int8Array, options: QuantizeOptions
) -> tuple[FloatArray, FloatArray]:
    """Least and largest integer that each of a weight's may become, whatever becomes of the others.

    All are shaped as ``integers`` ``[O, C/groups, …]``.
    """
    most = np.full(integers.shape, options.weight_limit, np.float32)
    pairs = pairs_of(node, integers) if options.pair_sums else None
    if pairs is None:
        return -most, most
    low, high = pair_bounds(integers.reshape(len(integers), -1).astype(np.float32), pairs)
    return np.maximum(low.reshape(most.shape), -most), np.minimum(high.reshape(most.shape), most)
