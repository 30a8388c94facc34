"""Weights rounded to eight bits where activations stay float: by output error, as for int8.

The result is a float graph whose weights lie on a grid of 255 numbers for each output channel. Stored as
integers with a scale, as every format's ``weight-only`` file does, they lose nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

import numpy as np
import onnx_ir as ir

from edgekit.graph.values import add_initializer, array_of, required
from edgekit.quantize.arithmetic import FloatArray, by_channel, channel_mean, weight_scale
from edgekit.quantize.layer_by_layer import LayerByLayer
from edgekit.quantize.options import QuantizeOptions
from edgekit.quantize.output_rounding import round_by_output
from edgekit.quantize.plan import make_plan
from edgekit.quantize.reference import run_reference

__all__ = ["round_weights"]

Progress = Callable[[str, int, int], None]

_IMAGES = 16  # that go through the network layer by layer


def round_weights(
    model: ir.Model,
    images: Iterable[FloatArray],
    options: QuantizeOptions,
    progress: Progress | None = None,
) -> ir.Model:
    """A copy of a canonical fp32 graph with rounded weights, and biases that make up for the means.

    The first 16 of ``images``, float32 ``[1, C, H, W]``, say which inputs go together. Stages that
    ``options`` leave out are left out here: without compensated rounding the graph is the given one.
    """
    if options.rounding == "nearest":
        return model
    batch = np.concatenate(list(islice(images, _IMAGES)))
    plan = make_plan(model, {node.name or "" for node in model.graph})
    means = run_reference(model, plan, batch).means if options.bias_correction else {}
    copy = model.clone()
    nodes = {node.name: node for node in copy.graph}
    walk = LayerByLayer(copy, plan, batch)
    for i, layer in enumerate(plan.layers):
        node = nodes[layer.name]
        if layer.is_weighted and array_of(required(node, 1)) is not None:
            _round(copy.graph, node, walk.values[layer.inputs[0]], options)
            raw = walk.raw(layer)
            if layer.raw in means:
                raw = _correct(copy.graph, node, raw, means[layer.raw])
        else:
            raw = walk.raw(layer)
        walk.keep(layer, raw)
        if progress is not None:
            progress("quantize", i + 1, len(plan.layers))
    return copy


def _round(graph: ir.Graph, node: ir.Node, inputs: FloatArray, options: QuantizeOptions) -> None:
    weight = _array(node, 1)
    found = round_by_output(node, weight, weight_scale(weight), inputs, None, options)
    if found is not None:
        integers, scale = found
        _set(graph, node, 1, integers * scale.reshape([-1] + [1] * (weight.ndim - 1)))


def _correct(graph: ir.Graph, node: ir.Node, raw: FloatArray, mean: FloatArray) -> FloatArray:
    """Move the mean output back by the bias; returns the outputs as they are then."""
    shift = mean - channel_mean(raw)
    _set(graph, node, 2, _array(node, 2) + shift)
    shifted: FloatArray = raw + by_channel(shift, raw)
    return shifted


def _array(node: ir.Node, index: int) -> FloatArray:
    array = array_of(required(node, index))
    assert array is not None
    return array.astype(np.float32)


def _set(graph: ir.Graph, node: ir.Node, index: int, array: FloatArray) -> None:
    """A constant of the node's own, since others may share the one that it had."""
    old = required(node, index)
    node.replace_input_with(index, add_initializer(graph, f"{node.name}.rounded{index}", array))
    if not old.uses() and old.name is not None and old.name in graph.initializers:
        graph.initializers.pop(old.name)
