"""Pools, classifiers and views in their one form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

Canonical = Callable[..., ir.Model]

RNG = np.random.default_rng(0)


def ops(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("y = GlobalAveragePool(x)", ["GlobalAveragePool"]),
        ("y = ReduceMean<keepdims=1>(x, axes)", ["GlobalAveragePool"]),
        ("y = ReduceMean<keepdims=0>(x, axes)", ["GlobalAveragePool", "Flatten"]),
        ("y = AveragePool<kernel_shape=[6,6]>(x)", ["GlobalAveragePool"]),
        ("a = GlobalAveragePool(x) y = Squeeze(a, axes)", ["GlobalAveragePool", "Flatten"]),
        ("a = GlobalAveragePool(x) b = Squeeze(a, axes) y = Unsqueeze(b, axes)", ["GlobalAveragePool"]),
        ("y = AveragePool<kernel_shape=[5,5]>(x)", ["AveragePool"]),
        ("y = ReduceMean<keepdims=1>(x, channels)", ["ReduceMean"]),
    ],
)
def test_pools(canonical: Canonical, nodes: str, expected: list[str]) -> None:
    axes = {"axes": np.array([-1, 2])} if "axes)" in nodes else {}
    channels = {"channels": np.array([1])} if "channels" in nodes else {}
    model = canonical(f"(float[1,3,6,6] x) => (float y) {{ {nodes} }}", **axes, **channels)
    assert ops(model) == expected


@pytest.mark.parametrize(
    "nodes",
    [
        "y = Gemm<transB=1>(x, out_in, bias)",
        "y = Gemm(x, in_out, bias)",
        "y = Gemm<alpha=0.5, beta=2.0>(x, in_out, row)",
        "y = Gemm(x, in_out)",
        "y = MatMul(x, in_out)",
        "a = MatMul(x, in_out) y = Add(a, bias)",
        "a = MatMul(x, in_out) y = Add(row, a)",
        "y = Gemm(x, in_out, scalar)",
    ],
)
def test_classifiers(canonical: Canonical, nodes: str) -> None:
    given = {
        "out_in": RNG.standard_normal((4, 5)),
        "in_out": RNG.standard_normal((5, 4)),
        "bias": RNG.standard_normal(4),
        "row": RNG.standard_normal((1, 4)),
        "scalar": np.float32(3),
    }
    used = {name: array for name, array in given.items() if name in nodes}
    model = canonical(f"(float[1,5] x) => (float[1,4] y) {{ {nodes} }}", **used)
    (gemm,) = model.graph
    assert gemm.op_type == "Gemm"
    assert [list(value.shape) for value in gemm.inputs[1:] if value and value.shape] == [[4, 5], [4]]


def test_a_computed_bias_stays_an_addition(canonical: Canonical) -> None:
    model = canonical(
        "(float[1,5] x) => (float[1,4] y) "
        "{ a = Gemm(x, weight, bias) b = Tanh(a) y = Gemm<beta=3.0>(x, weight, b) }",
        weight=RNG.standard_normal((5, 4)),
        bias=RNG.standard_normal(4),
    )
    assert ops(model) == ["Gemm", "Tanh", "Gemm", "Mul", "Add"]


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("y = Flatten(x)", ["Flatten"]),
        ("y = Reshape(x, flat)", ["Flatten"]),
        ("y = Flatten<axis=2>(x)", ["Reshape"]),
        ("a = Reshape(x, groups) y = Flatten(a)", ["Flatten"]),
        ("a = Reshape(x, groups) y = Reshape(a, back)", []),
        ("a = Reshape(x, groups) b = Transpose<perm=[0,2,1,3,4]>(a) y = Reshape(b, back)", None),
    ],
)
def test_views(canonical: Canonical, nodes: str, expected: list[str] | None) -> None:
    targets = {"flat": [0, -1], "groups": [1, 2, 2, 3, 3], "back": [1, 4, 3, 3]}
    used = {name: np.array(target) for name, target in targets.items() if f"{name})" in nodes}
    body = nodes.replace("x,", "r,").replace("x)", "r)")
    model = canonical(f"(float[1,4,3,3] x) => (float y) {{ r = Tanh(x) {body} }}", **used)
    assert ops(model)[1:] == (["Reshape", "Transpose", "Reshape"] if expected is None else expected)


def test_sum_is_a_chain_of_additions(canonical: Canonical) -> None:
    model = canonical("(float[1,4] x) => (float[1,4] y) { a = Tanh(x) b = Relu(x) y = Sum(a, b, x) }")
    assert ops(model) == ["Tanh", "Relu", "Add", "Add"]


def test_axes_count_from_the_front(canonical: Canonical) -> None:
    model = canonical(
        "(float[1,4,2,2] x) => (float y) { a = Tanh(x) b = Concat<axis=-3>(a, x) y = Softmax(b) }"
    )
    assert [node.attributes["axis"].as_int() for node in list(model.graph)[1:]] == [1, 3]
