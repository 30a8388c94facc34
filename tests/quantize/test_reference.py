"""The fp32 network's means and logits, against numpy over the layers' whole outputs."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.graph.run import GraphRunner
from edgekit.quantize.plan import make_plan
from edgekit.quantize.reference import chunks, run_reference
from graphs import NETWORKS, GraphBuilder


@pytest.mark.parametrize("name", NETWORKS)
def test_means_are_of_the_raw_outputs_of_weighted_layers(name: str) -> None:
    builder = GraphBuilder([1, 3, 24, 24])
    model = builder.model(NETWORKS[name](builder))
    nodes = [node.name for node in model.graph]
    images = np.random.default_rng(0).standard_normal((11, 3, 24, 24)).astype(np.float32)
    plan = make_plan(model)
    reference = run_reference(model, plan, images)
    raws = [layer.raw for layer in plan.layers if layer.op_type in ("Conv", "Gemm")]
    assert sorted(reference.means) == sorted(raws)
    outputs = GraphRunner(model, [*raws, "logits"]).run(images)
    np.testing.assert_allclose(reference.logits, outputs["logits"], rtol=1e-5, atol=1e-6)
    for raw in raws:
        axes = (0, *range(2, outputs[raw].ndim))
        np.testing.assert_allclose(
            reference.means[raw], outputs[raw].mean(axes, dtype=np.float64), rtol=1e-5, atol=1e-6
        )
    assert [node.name for node in model.graph] == nodes


@pytest.mark.parametrize("count", [1, 7, 8, 9, 40])
def test_chunks_are_the_batch(count: int) -> None:
    batch = np.arange(count * 2).reshape(count, 2)
    parts = list(chunks(batch))
    assert max(len(part) for part in parts) <= 8
    np.testing.assert_array_equal(np.concatenate(parts), batch)
