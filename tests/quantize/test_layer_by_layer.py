"""Layers one at a time against the whole graph at once."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.graph.run import GraphRunner
from edgekit.quantize.layer_by_layer import LayerByLayer
from edgekit.quantize.plan import make_plan
from graphs import NETWORKS
from small_pictures import network, pictures


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_give_what_the_graph_gives_and_let_go_of_what_is_read(name: str) -> None:
    model, images = network(name), pictures(11)[:, 0]
    plan = make_plan(model)
    expected = GraphRunner(model, [layer.raw for layer in plan.layers]).run(images)
    walk, most = LayerByLayer(model, plan, images), 0
    for layer in plan.layers:
        raw = walk.raw(layer)
        np.testing.assert_allclose(raw, expected[layer.raw], rtol=1e-4, atol=1e-4)
        walk.keep(layer, raw)
        most = max(most, len(walk.values))
    assert set(walk.values) == {plan.output}
    assert most < len(plan.layers)
