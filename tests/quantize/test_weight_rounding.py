"""Weights rounded for float activations: nearer than the nearest, on a grid that the files keep."""

from __future__ import annotations

from typing import cast

import numpy as np
import onnx_ir as ir
import pytest

from edgekit.emit.renderings.weights import symmetric_int8
from edgekit.graph.values import add_initializer, array_of, required
from edgekit.parity import sqnr_db
from edgekit.quantize.contract import WEIGHTED
from edgekit.quantize.options import QuantizeOptions
from edgekit.quantize.weight_rounding import round_weights
from graphs import NETWORKS, FloatArray
from small_pictures import network, pictures, run


def stored(model: ir.Model) -> ir.Model:
    """What a weight-only file of it computes."""
    copy = model.clone()
    for node in copy.graph:
        if node.op_type in WEIGHTED:
            integers, scales = symmetric_int8(cast(FloatArray, array_of(required(node, 1))), 0)
            weight = add_initializer(copy.graph, f"{node.name}.stored", integers * scales)
            node.replace_input_with(1, weight)
    return copy


@pytest.mark.parametrize("name", NETWORKS)
def test_files_lose_nothing_beyond_the_rounding(name: str) -> None:
    model, unseen = network(name), pictures(8, seed=1)
    rounded = round_weights(model, iter(pictures(16)), QuantizeOptions())
    assert sqnr_db(run(rounded, unseen), run(stored(rounded), unseen)) > 90


def test_rounding_by_output_error_beats_the_nearest() -> None:
    model, unseen = network("plain"), pictures(16, seed=1)
    reference = run(model, unseen)
    nearest = sqnr_db(reference, run(stored(model), unseen))
    rounded = round_weights(model, iter(pictures(16)), QuantizeOptions())
    assert sqnr_db(reference, run(stored(rounded), unseen)) > nearest + 3


def test_without_compensated_rounding_the_network_is_left_alone() -> None:
    model = network("plain")
    assert round_weights(model, iter(pictures(1)), QuantizeOptions(rounding="nearest")) is model


def test_a_grid_of_fewer_steps_is_recognized_channel_by_channel() -> None:
    rng = np.random.default_rng(0)
    integers = rng.integers(-100, 100, (4, 30))
    integers[:, 0] = [127, 120, 111, -104]
    scales = np.array([[0.1], [0.02], [3], [1e-4]], np.float32)
    found, kept = symmetric_int8((integers * scales).astype(np.float32), 0)
    np.testing.assert_array_equal(found, integers)
    np.testing.assert_allclose(kept, scales, rtol=1e-6)
