"""Layers and groups against what the graphs say, and groups against a brute-force closure."""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import UnsupportedError
from edgekit.quantize.arithmetic import ActivationParams
from edgekit.quantize.plan import Plan, make_plan
from graphs import NETWORKS, GraphBuilder

SHAPE = [1, 4, 8, 8]


def planned(builder: GraphBuilder, output: ir.Value) -> Plan:
    return make_plan(builder.model(output))


def groups_of(plan: Plan) -> set[frozenset[str]]:
    return {frozenset(group) for group in plan.groups}


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_and_groups_cover_a_network(name: str) -> None:
    builder = GraphBuilder([1, 3, 24, 24])
    model = builder.model(NETWORKS[name](builder))
    plan = make_plan(model)
    assert (plan.input, plan.output) == ("image", "logits")
    assert plan.values[-1] == "logits"
    assert sorted(plan.values) == sorted(name for group in plan.groups for name in group)
    known = {plan.input}
    for layer in plan.layers:
        assert known.issuperset(layer.inputs)
        known.add(layer.output)
    fused = [layer.raw for layer in plan.layers if layer.raw != layer.output]
    assert len(plan.layers) + len(fused) == len(model.graph)


def test_clamps_are_fused_with_their_bounds() -> None:
    b = GraphBuilder(SHAPE)
    relu6 = b.relu6(b.conv(b.image, 4))
    relu = b.op("Relu", b.op("Add", relu6, b.conv(relu6, 4, 1)))
    plan = planned(b, b.op("Clip", b.conv(relu, 4), np.float32(-1)))
    assert [layer.bounds for layer in plan.layers] == [
        (0, 6),
        (-math.inf, math.inf),
        (0, math.inf),
        (-1, math.inf),
    ]
    assert [layer.output for layer in plan.layers][::2] == [relu6.name, relu.name]
    assert [layer.constants for layer in plan.layers] == [(1, 2), (1, 2), (), (1, 2)]
    assert [layer.is_weighted for layer in plan.layers] == [True, True, False, True]


def test_a_clamp_whose_source_others_read_is_a_layer() -> None:
    b = GraphBuilder(SHAPE)
    x = b.conv(b.image, 4)
    relu = b.op("Relu", x)
    plan = planned(b, b.op("Add", relu, x))
    assert [layer.op_type for layer in plan.layers] == ["Conv", "Relu", "Add"]
    assert all(layer.bounds == (-math.inf, math.inf) for layer in plan.layers)


def test_a_clamp_behind_a_pool_is_a_layer() -> None:
    b = GraphBuilder(SHAPE)
    plan = planned(b, b.op("Relu", b.op("GlobalAveragePool", b.image)))
    assert [layer.op_type for layer in plan.layers] == ["GlobalAveragePool", "Relu"]


def test_constant_operands_keep_their_place() -> None:
    b = GraphBuilder(SHAPE)
    x = b.op("Sub", np.float32(1), b.image)
    plan = planned(b, b.op("Mul", x, x))
    assert [(layer.inputs, layer.constants) for layer in plan.layers] == [
        (("image",), (0,)),
        ((x.name, x.name), ()),
    ]


def test_scale_keeping_operators_join_the_whole_chain() -> None:
    b = GraphBuilder(SHAPE)
    left = b.op("MaxPool", b.image, kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0])
    right = b.conv(b.image, 4, stride=2, pads=(1, 1, 0, 0))
    joined = b.op("Concat", left, right, axis=1)
    padded = b.op("Pad", joined, np.asarray([0, 0, 1, 1, 0, 0, 1, 1]))
    plan = planned(b, b.conv(padded, 3))
    together = {"image", left.name, right.name, joined.name, padded.name}
    assert groups_of(plan) == {frozenset(name or "" for name in together), frozenset({"logits"})}
    index = next(i for i, group in enumerate(plan.groups) if "image" in group)
    assert plan.sources(index) == ("image", right.name)


@settings(max_examples=40)
@given(data=st.data())
def test_groups_are_the_closure_of_all_ties(data: st.DataObject) -> None:
    b = GraphBuilder([1, 1, 2, 2])
    values, ties = [b.image], []
    for _ in range(data.draw(st.integers(1, 12))):
        chosen = data.draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
        if data.draw(st.booleans()):
            values.append(b.op("HardSwish", chosen[0]))
            continue
        values.append(b.op("Concat", *chosen, axis=1))
        ties += [(value.name or "", values[-1].name or "") for value in chosen]
    last = values[-1].name
    plan = planned(b, values[-1])
    tied = [frozenset("logits" if name == last else name for name in tie) for tie in ties]
    expected = [frozenset({name}) for name in plan.values]
    for _ in plan.values:
        expected = [
            group.union(*(other for other in [*expected, *tied] if other & group)) for group in expected
        ]
    assert groups_of(plan) == set(expected)


def test_fixed_parameters_reach_their_whole_group() -> None:
    b = GraphBuilder(SHAPE)
    gates = [b.op("Sigmoid", b.conv(b.image, 4, 1)) for _ in range(2)]
    joined = b.op("Concat", *gates, axis=1)
    plan = planned(b, b.op("Tanh", b.conv(joined, 4)))
    by_name = {name: plan.fixed.get(i) for i, group in enumerate(plan.groups) for name in group}
    unit = ActivationParams(1 / 256, -128)
    assert [by_name[value.name or ""] for value in (*gates, joined)] == [unit] * 3
    assert by_name["logits"] == ActivationParams(1 / 128, 0)
    assert len(plan.fixed) == 2


@pytest.mark.parametrize("other", ["Conv", "Tanh", "image"])
def test_a_fixed_scale_joined_with_another_is_refused(other: str) -> None:
    b = GraphBuilder(SHAPE)
    conv = b.conv(b.image, 4, 1)
    partner = {"Conv": conv, "Tanh": b.op("Tanh", conv), "image": b.image}[other]
    joined = b.op("Concat", b.op("Sigmoid", conv), partner, axis=1)
    with pytest.raises(UnsupportedError, match=rf"{partner.name}.*scale of its own"):
        planned(b, joined)


def test_operators_without_integer_form_stay_float_and_computed_weights_are_named() -> None:
    b = GraphBuilder(SHAPE)
    plan = planned(b, b.op("Erf", b.conv(b.image, 4)))
    assert [layer.precision for layer in plan.layers] == ["int8", "float"]
    b = GraphBuilder([1, 4])
    weight = b.op("Reshape", b.image, np.asarray([2, 2]))
    with pytest.raises(UnsupportedError, match=r"'logits' \(Gemm\) has a computed weight"):
        planned(b, b.op("Gemm", weight, weight, np.zeros(2, np.float32), transB=1))


def test_one_input_is_expected() -> None:
    b = GraphBuilder(SHAPE)
    model = b.model(b.op("Relu", b.conv(b.image, 4)))
    model.graph.inputs.append(ir.val("other", ir.DataType.FLOAT, [1, 3]))
    with pytest.raises(UnsupportedError, match="2 inputs"):
        make_plan(model)
