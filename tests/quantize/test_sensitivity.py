"""Sensitivities against networks whose weak layer is known, and against the sum that they predict."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgekit.graph.run import GraphRunner
from edgekit.graph.values import array_of, required
from edgekit.parity import sqnr_db
from edgekit.quantize import Observation, QuantizationResult, QuantizeOptions, observe, quantize
from edgekit.quantize.plan_search import Trial, order_layers, search
from edgekit.quantize.sensitivity import LayerSensitivity, analyze
from graphs import NETWORKS, FloatArray, GraphBuilder
from outliers import RUINED, ruined_network

SHAPE = (3, 24, 24)
QUICK = QuantizeOptions(rounding="nearest", ranges="minmax")


def images(count: int = 8, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).standard_normal((count, 1, *SHAPE)).astype(np.float32)


def chain(b: GraphBuilder) -> ir.Value:
    """Five convolutions, each behind a ReLU6 but for the last."""
    x = b.relu6(b.conv(b.image, 8, stride=2))
    for _ in range(3):
        x = b.relu6(b.conv(x, 8))
    return b.gemm(b.op("Flatten", b.op("GlobalAveragePool", b.conv(x, 8)), axis=1), 10)


def with_outlier(position: int) -> tuple[ir.Model, str]:
    """The chain with one layer that int8 ruins, and its name.

    Each filter has a weight of 100 for an input that is nearly always 0: the step that holds it leaves
    nothing of the others. Its own output stays as it was, cut off at 6.
    """
    builder = GraphBuilder([1, *SHAPE], seed=1)
    model = builder.model(chain(builder))
    convs = [node for node in model.graph if node.op_type == "Conv"]
    before, broken = convs[position - 1 : position + 1]
    silent, loud = (array_of(required(node, index)) for node, index in ((before, 2), (broken, 1)))
    assert silent is not None
    assert loud is not None
    bias, weight = silent.copy(), loud.copy()
    bias[0], weight[:, 0] = -100, 100
    for node, index, array in ((before, 2, bias), (broken, 1, weight)):
        value = required(node, index)
        value.const_value = ir.tensor(array, name=value.name)
    return model, broken.name or ""


def analyzed(model: ir.Model) -> tuple[Observation, QuantizationResult, tuple[LayerSensitivity, ...]]:
    observation = observe(model, images())
    result = quantize(model, observation, QUICK)
    return observation, result, analyze(model, result.model, observation.plan, images()[:, 0])


@pytest.mark.parametrize("position", [1, 2, 3])
def test_the_layer_that_int8_ruins_ranks_first(position: int) -> None:
    model, name = with_outlier(position)
    observation, _, found = analyzed(model)
    ranked = sorted(found, key=lambda one: one.sqnr_db)
    assert ranked[0].name == name
    assert ranked[0].sqnr_db < ranked[1].sqnr_db - 10
    assert ranked[0].weight_noise > 100 * ranked[0].output_noise
    assert order_layers(observation.plan, found)[0] == (name,)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_parts_add_up_to_the_whole(name: str) -> None:
    """Errors of different layers are nearly independent, so that powers add up."""
    builder = GraphBuilder([1, *SHAPE])
    model = builder.model(NETWORKS[name](builder))
    observation, result, found = analyzed(model)
    assert [one.name for one in found] == [layer.name for layer in observation.plan.layers]
    predicted = -10 * np.log10(sum(one.noise for one in found))
    reference, answer = (
        GraphRunner(graph).run(images()[:, 0])["logits"].reshape(8, -1) for graph in (model, result.model)
    )
    assert predicted == pytest.approx(sqnr_db(reference, answer), abs=4)


def test_macs_are_those_of_the_layers() -> None:
    model, _ = with_outlier(1)
    _, _, found = analyzed(model)
    assert [one.macs for one in found[:2]] == [11 * 11 * 8 * 27, 9 * 9 * 8 * 72]


def test_copies_make_no_error() -> None:
    builder = GraphBuilder([1, *SHAPE])
    _, _, found = analyzed(builder.model(NETWORKS["fire"](builder)))
    assert {one.noise for one in found if one.op_type in ("Concat", "MaxPool", "Flatten")} == {0.0}


def order(model: ir.Model, noises: dict[str, tuple[float, float]]) -> tuple[tuple[str, ...], ...]:
    plan = observe(model, images(1)).plan
    return order_layers(
        plan, [LayerSensitivity(one.name, "", *noises.get(one.name, (0, 0)), 1) for one in plan.layers]
    )


def test_a_rounded_value_needs_its_maker_and_all_its_readers() -> None:
    b = GraphBuilder([1, *SHAPE])
    x = b.conv(b.image, 4)
    one, other = b.conv(x, 4, 1), b.conv(x, 4, 1)
    model = b.model(b.op("Add", one, other))
    first, second, third, last = (node.name or "" for node in model.graph)
    assert order(model, {first: (0, 6), second: (1, 0)}) == ((first, second, third),)
    assert order(model, {first: (0, 1), second: (1, 0)}) == ((second,), (first, third))
    # Nothing keeps the network's own output from being rounded.
    assert order(model, {last: (0, 9), third: (1, 0)}) == ((third,),)


def test_readers_behind_a_copy_count() -> None:
    b = GraphBuilder([1, *SHAPE])
    pooled = b.op("MaxPool", b.conv(b.image, 4), kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0])
    model = b.model(b.conv(pooled, 4))
    first, pool, last = (node.name or "" for node in model.graph)
    assert order(model, {first: (0, 1)}) == ((first, pool, last),)


STEPS = [(f"layer{i}",) for i in range(20)]


@pytest.mark.parametrize("needed", [0, 1, 2, 3, 7, 8, 16, 19, 20])
def test_the_search_finds_the_shortest_plan_that_passes(needed: int) -> None:
    tried: list[int] = []

    def measure(kept: tuple[str, ...]) -> float:
        tried.append(len(kept))
        return 0.4 if len(kept) >= needed else 3.0

    found = search(STEPS, measure, 0.5, 0.4 if needed == 0 else 3.0)
    assert found.reached
    assert found.best.kept == tuple(f"layer{i}" for i in range(needed))
    assert len(tried) == len(set(tried)) == len(found.trials) <= 10


def test_a_search_that_fails_names_the_best() -> None:
    drops = {1: 4.0, 2: 2.5, 4: 1.5, 8: 2.0, 16: 2.0, 20: 1.8}
    found = search(STEPS, lambda kept: drops[len(kept)], 0.5, 5.0)
    assert not found.reached
    assert (len(found.best.kept), found.best.drop) == (4, 1.5)
    assert search((), lambda kept: 0.0, 0.5, 5.0).best == Trial((), 5.0)


def test_an_operand_that_int8_ruins_ranks_first() -> None:
    model = ruined_network(SHAPE)
    observation, _, found = analyzed(model)
    assert min(found, key=lambda one: one.sqnr_db).name == RUINED
    assert order_layers(observation.plan, found)[0] == (RUINED,)
