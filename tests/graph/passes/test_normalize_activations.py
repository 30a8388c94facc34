"""Every spelling of an activation becomes one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

Canonical = Callable[..., ir.Model]

IMAGE = "(float[1,3,5,5] x) => (float[1,3,5,5] y)"
NUMBERS = {
    "zero": np.float32(0),
    "half": np.float32(0.5),
    "one": np.float32(1),
    "three": np.float32(3),
    "six": np.float32(6),
    "sixth": np.float32(1 / 6),
    "vector_six": np.full([1], 6, np.float32),
    "lowest": np.finfo(np.float32).min,
    "infinity": np.float32(np.inf),
}


def ops(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


def from_image(canonical: Canonical, nodes: str) -> ir.Model:
    """Canonical form of nodes that read ``r`` and write ``y``."""
    body = f"{IMAGE} {{ r = Tanh(x) {nodes} }}"
    return canonical(body, **{name: value for name, value in NUMBERS.items() if name in nodes})


@pytest.mark.parametrize(
    "nodes",
    [
        "y = Clip(r, zero, six)",
        "y = Clip(r, zero, vector_six)",
        "a = Relu(r) y = Min(a, six)",
        "a = Max(zero, r) y = Min(six, a)",
        "a = Min(r, six) y = Relu(a)",
        "a = Relu(r) y = Clip(a, , six)",
        "a = Clip(r, zero, six) y = Relu(a)",
    ],
)
def test_relu6(canonical: Canonical, nodes: str) -> None:
    model = from_image(canonical, nodes)
    assert ops(model) == ["Tanh", "Clip"]
    clip = model.graph[-1]
    bounds = [value.const_value.numpy() for value in clip.inputs[1:] if value and value.const_value]
    assert [bound.shape for bound in bounds] == [(), ()]
    assert [float(bound) for bound in bounds] == [0, 6]


@pytest.mark.parametrize(
    "nodes",
    [
        "y = Relu(r)",
        "y = Clip(r, zero)",
        "y = Clip(r, zero, infinity)",
        "y = Max(r, zero)",
        "a = Relu(r) y = Relu(a)",
        "a = Clip(r, lowest, infinity) y = Relu(a)",
    ],
)
def test_relu(canonical: Canonical, nodes: str) -> None:
    assert ops(from_image(canonical, nodes)) == ["Tanh", "Relu"]


@pytest.mark.parametrize(
    "nodes",
    [
        "y = HardSigmoid<alpha=0.16666667, beta=0.5>(r)",
        "a = Add(r, three) b = Clip(a, zero, six) y = Div(b, six)",
        "a = Add(three, r) b = Clip(a, zero, six) y = Mul(b, sixth)",
        "a = Add(r, three) b = Clip(a, zero, six) y = Mul(sixth, b)",
        "a = Div(r, six) b = Add(a, half) y = Clip(b, zero, one)",
        "a = Mul(r, sixth) b = Add(a, half) c = Relu(b) y = Min(c, one)",
    ],
)
def test_hard_sigmoid(canonical: Canonical, nodes: str) -> None:
    model = from_image(canonical, nodes)
    assert ops(model) == ["Tanh", "HardSigmoid"]
    assert model.graph[-1].attributes["alpha"].as_float() == pytest.approx(1 / 6, abs=1e-9)


def test_other_hard_sigmoid_is_spelled_out(canonical: Canonical) -> None:
    model = from_image(canonical, "y = HardSigmoid<alpha=0.2, beta=0.5>(r)")
    assert ops(model) == ["Tanh", "Mul", "Add", "Clip"]


@pytest.mark.parametrize(
    "nodes",
    [
        "y = HardSwish(r)",
        "a = HardSigmoid<alpha=0.16666667, beta=0.5>(r) y = Mul(r, a)",
        "a = HardSigmoid<alpha=0.16666667, beta=0.5>(r) y = Mul(a, r)",
        "a = Add(r, three) b = Clip(a, zero, six) c = Mul(r, b) y = Div(c, six)",
        "a = Add(r, three) b = Clip(a, zero, six) c = Mul(b, r) y = Mul(c, sixth)",
        "a = Add(r, three) b = Clip(a, zero, six) c = Div(b, six) y = Mul(r, c)",
    ],
)
def test_hard_swish(canonical: Canonical, nodes: str) -> None:
    assert ops(from_image(canonical, nodes)) == ["Tanh", "HardSwish"]


@pytest.mark.parametrize("product", ["Mul(r, a)", "Mul(a, r)"])
def test_silu_multiplies_the_input_first(canonical: Canonical, product: str) -> None:
    model = from_image(canonical, f"a = Sigmoid(r) y = {product}")
    assert ops(model) == ["Tanh", "Sigmoid", "Mul"]
    first, second = model.graph[-1].inputs
    assert first is not None
    assert second is not None
    assert [v.producer().op_type for v in (first, second) if v.producer()] == ["Tanh", "Sigmoid"]  # type: ignore[union-attr]


def test_a_read_clamp_is_kept(canonical: Canonical) -> None:
    """x + 3 is read twice, so it is not part of a hard sigmoid alone."""
    nodes = "a = Add(r, three) b = Clip(a, zero, six) c = Div(b, six) y = Mul(a, c)"
    assert "HardSwish" not in ops(from_image(canonical, nodes))


@pytest.mark.parametrize(
    "nodes",
    [
        "a = Add(r, three) b = Clip(a, zero, three) y = Div(b, six)",
        "a = Add(r, one) b = Clip(a, zero, six) y = Div(b, six)",
        "a = Add(r, three) b = Clip(a, zero, six) y = Div(b, three)",
    ],
)
def test_near_misses_are_not_hard_sigmoids(canonical: Canonical, nodes: str) -> None:
    assert "HardSigmoid" not in ops(from_image(canonical, nodes))
