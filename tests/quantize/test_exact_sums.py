"""Ratios of scales that float32 arithmetic multiplies and adds without rounding."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from edgekit.quantize.arithmetic import ActivationParams
from edgekit.quantize.exact_sums import with_exact_sums
from edgekit.quantize.plan import Layer, Plan, make_plan

SIDES = (1, 4, 4, 4)
INTEGERS = np.arange(-128, 128)


def plan_of(*nodes: onnx.NodeProto, output: str) -> Plan:
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, SIDES) for name in ("x", output)]
    model = helper.make_model(helper.make_graph(list(nodes), "sums", info[:1], info[1:]))
    return make_plan(ir.from_proto(onnx.shape_inference.infer_shapes(model)))


def residual(blocks: int) -> Plan:
    """x → x + relu(x), again and again."""
    nodes, before = [], "x"
    for i in range(blocks):
        nodes += [helper.make_node("Relu", [before], [f"branch{i}"], name=f"relu{i}")]
        nodes += [helper.make_node("Add", [before, f"branch{i}"], [f"sum{i}"], name=f"add{i}")]
        before = f"sum{i}"
    return plan_of(*nodes, output=before)


def some_params(plan: Plan, seed: int) -> dict[str, ActivationParams]:
    generator = np.random.default_rng(seed)
    found: dict[str, ActivationParams] = {}
    for group in plan.groups:
        scale = float(np.float32(np.exp(generator.uniform(-3, -1))))
        found.update(dict.fromkeys(group, ActivationParams(scale, int(generator.integers(-128, 128)))))
    return found


def sums(
    params: Mapping[str, ActivationParams], first: str, other: str, out: str, *, fused: bool
) -> npt.NDArray[np.float32]:
    """All 65,536 sums as a runtime computes them in float32, with or without fused multiply-adds."""
    wide = np.float64 if fused else np.float32
    a, b, c = (params[name] for name in (first, other, out))
    ratios = [np.float32(one.scale) / np.float32(c.scale) for one in (a, b)]
    shift = np.float32(c.zero_point - np.float32(ratios[0] * a.zero_point + ratios[1] * b.zero_point))
    left, right = np.meshgrid(INTEGERS.astype(np.float32), INTEGERS.astype(np.float32))
    some = (wide(shift) + left.astype(wide) * wide(ratios[0])).astype(np.float32)
    return np.asarray(some.astype(wide) + right.astype(wide) * wide(ratios[1]), np.float32)


def rounded(numbers: npt.NDArray[np.float32], *, ties_up: bool) -> npt.NDArray[np.float32]:
    wide = numbers.astype(np.float64)
    whole = np.floor(wide + 0.5) if ties_up else np.rint(wide)
    return np.asarray(whole.clip(-128, 127), np.float32)


def is_exact(params: Mapping[str, ActivationParams], layer: Layer) -> bool:
    """Whether both ways to compute and both ways to round a tie agree on every sum."""
    first, second = layer.inputs
    answers = [
        rounded(sums(params, first, second, layer.output, fused=fused), ties_up=up)
        for fused in (True, False)
        for up in (True, False)
    ]
    return all(np.array_equal(answers[0], other) for other in answers[1:])


@pytest.mark.parametrize("seed", range(10))
def test_sums_of_a_deep_residual_network_are_exact(seed: int) -> None:
    plan = residual(20)
    before = some_params(plan, seed)
    after = with_exact_sums(plan, before)
    adds = [layer for layer in plan.layers if layer.op_type == "Add"]
    assert len(adds) == 20
    assert all(is_exact(after, layer) for layer in adds)
    assert not all(is_exact(before, layer) for layer in adds)


def test_scales_hardly_change_and_zero_points_do_not() -> None:
    plan = residual(20)
    for seed in range(10):
        before = some_params(plan, seed)
        after = with_exact_sums(plan, before)
        changes = [abs(after[name].scale / before[name].scale - 1) for name in before]
        assert 0 < max(changes) <= 0.025
        assert all(after[name].scale == np.float32(after[name].scale) for name in after)
        assert [one.zero_point for one in before.values()] == [one.zero_point for one in after.values()]
        assert after == with_exact_sums(plan, after)


def test_what_is_settled_keeps_its_scale() -> None:
    plan = residual(1)
    before = some_params(plan, 0)
    assert with_exact_sums(plan, before)["x"] != before["x"]
    assert with_exact_sums(plan, before, {"x"})["x"] == before["x"]
    assert with_exact_sums(plan, before)["sum0"] == before["sum0"]


def test_what_an_operator_decides_keeps_its_scale_and_a_group_stays_one() -> None:
    plan = plan_of(
        helper.make_node("Sigmoid", ["x"], ["gate"], name="gate"),
        helper.make_node("MaxPool", ["x"], ["pooled"], name="pool", kernel_shape=[1, 1]),
        helper.make_node("Add", ["gate", "pooled"], ["sum"], name="sum"),
        output="sum",
    )
    before = some_params(plan, 1) | {"gate": ActivationParams(1 / 256, -128)}
    after = with_exact_sums(plan, before)
    assert after["gate"] == before["gate"]
    assert after["x"] == after["pooled"] != before["pooled"]


def test_a_scale_far_below_the_sums_is_left_alone() -> None:
    plan = plan_of(
        helper.make_node("Relu", ["x"], ["small"], name="relu"),
        helper.make_node("Add", ["x", "small"], ["sum"], name="sum"),
        output="sum",
    )
    before = {
        "x": ActivationParams(0.1, 0),
        "small": ActivationParams(float(np.float32(1e-5)), 0),
        "sum": ActivationParams(0.1, 0),
    }
    assert with_exact_sums(plan, before)["small"] == before["small"]


def test_every_pair_of_ratios_that_networks_have_is_exact() -> None:
    plan = plan_of(
        helper.make_node("Relu", ["x"], ["other"], name="relu"),
        helper.make_node("Add", ["x", "other"], ["sum"], name="sum"),
        output="sum",
    )
    steps = [float(np.float32(one)) for one in np.geomspace(0.02, 0.5, 12)]
    for a, b, c in product(steps, steps, steps[8:9]):
        params = {
            "x": ActivationParams(a, 3),
            "other": ActivationParams(b, -7),
            "sum": ActivationParams(c, 5),
        }
        assert is_exact(with_exact_sums(plan, params), plan.layers[-1]), (a, b, c)
