"""Batch norm, affine constants, pads and constant subexpressions go into the layer before or after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import pytest

from edgekit.errors import UnsupportedError

Canonical = Callable[..., ir.Model]
MakeModel = Callable[..., ir.Model]

RNG = np.random.default_rng(0)


def normal(*shape: int) -> npt.NDArray[np.float64]:
    return np.asarray(RNG.standard_normal(shape))


def batch_norm(channels: int) -> dict[str, Any]:
    return {
        "gain": normal(channels),
        "shift": normal(channels),
        "mean": normal(channels),
        "variance": RNG.uniform(0.2, 2, channels),
    }


def ops(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


NORMALIZE = "BatchNormalization(c, gain, shift, mean, variance)"


@pytest.mark.parametrize("group", [1, 2, 4])
def test_batch_norm_into_convolution(canonical: Canonical, group: int) -> None:
    model = canonical(
        "(float[1,4,6,6] x) => (float[1,4,4,4] y) "
        f"{{ c = Conv<group={group}>(x, weight) y = BatchNormalization<epsilon=0.001>"
        "(c, gain, shift, mean, variance) }",
        weight=normal(4, 4 // group, 3, 3),
        **batch_norm(4),
    )
    assert ops(model) == ["Conv"]


@pytest.mark.parametrize("group", [1, 2])
def test_batch_norm_into_transposed_convolution(canonical: Canonical, group: int) -> None:
    model = canonical(
        "(float[1,4,6,6] x) => (float[1,6,h,w] y) "
        f"{{ c = ConvTranspose<group={group}, strides=[2,2]>(x, weight, bias) y = {NORMALIZE} }}",
        weight=normal(4, 6 // group, 3, 3),
        bias=normal(6),
        **batch_norm(6),
    )
    assert ops(model) == ["ConvTranspose"]


def test_batch_norm_into_classifier(canonical: Canonical) -> None:
    model = canonical(
        f"(float[1,5] x) => (float[1,4] y) {{ c = Gemm<transB=1>(x, weight, bias) y = {NORMALIZE} }}",
        weight=normal(4, 5),
        bias=normal(4),
        **batch_norm(4),
    )
    assert ops(model) == ["Gemm"]


def test_batch_norm_of_an_image_alone_is_a_depthwise_convolution(canonical: Canonical) -> None:
    model = canonical(
        f"(float[1,3,4,4] c) => (float[1,3,4,4] y) {{ a = {NORMALIZE} y = Relu(a) }}", **batch_norm(3)
    )
    assert ops(model) == ["Conv", "Relu"]
    assert model.graph[0].attributes["group"].as_int() == 3


def test_batch_norm_of_a_vector_alone(canonical: Canonical) -> None:
    model = canonical(f"(float[1,3] c) => (float[1,3] y) {{ y = {NORMALIZE} }}", **batch_norm(3))
    assert ops(model) == ["Mul", "Add"]


def test_batch_norm_leaves_a_shared_convolution_alone(canonical: Canonical) -> None:
    model = canonical(
        f"(float[1,2,4,4] x) => (float[1,3,4,4] y) {{ c = Conv(x, weight) a = {NORMALIZE} y = Add(a, c) }}",
        weight=normal(3, 2, 1, 1),
        **batch_norm(3),
    )
    assert ops(model) == ["Conv", "Conv", "Add"]


def test_two_convolutions_may_share_a_weight(canonical: Canonical) -> None:
    model = canonical(
        "(float[1,3,4,4] x) => (float[1,3,4,4] y) "
        f"{{ c = Conv(x, weight) a = {NORMALIZE} b = Conv(x, weight) y = Add(a, b) }}",
        weight=normal(3, 3, 1, 1),
        **batch_norm(3),
    )
    assert sorted(ops(model)) == ["Add", "Conv", "Conv"]


def test_training_mode_is_refused(make_model: MakeModel) -> None:
    from edgekit.graph.passes import canonicalize

    model = make_model(
        "(float[1,3,4,4] x) => (float[1,3,4,4] y) "
        "{ y = BatchNormalization<training_mode=1>(x, gain, shift, mean, variance) }",
        **batch_norm(3),
    )
    with pytest.raises(UnsupportedError, match="training mode"):
        canonicalize(model)


@pytest.mark.parametrize(
    "nodes",
    [
        "y = Add(c, factor)",
        "y = Add(factor, c)",
        "y = Sub(c, factor)",
        "y = Sub(factor, c)",
        "y = Mul(c, factor)",
        "y = Div(c, factor)",
        "a = Mul(c, factor) b = Add(a, factor) y = Sub(b, factor)",
        "a = Add(c, factor) b = BatchNormalization(a, gain, shift, mean, variance) y = Mul(b, factor)",
    ],
)
@pytest.mark.parametrize("shape", [(3, 1, 1), (1, 3, 1, 1), (), (1, 1, 1)])
def test_affine_constants_into_convolution(canonical: Canonical, nodes: str, shape: tuple[int, ...]) -> None:
    norm = batch_norm(3) if "BatchNorm" in nodes else {}
    model = canonical(
        f"(float[1,2,4,4] x) => (float[1,3,4,4] y) {{ c = Conv(x, weight) {nodes} }}",
        weight=normal(3, 2, 1, 1),
        factor=RNG.uniform(0.5, 2, shape),
        **norm,
    )
    assert ops(model) == ["Conv"]


@pytest.mark.parametrize("nodes", ["y = Div(factor, c)", "y = Add(c, image)"])
def test_what_is_not_affine_by_channel_stays(canonical: Canonical, nodes: str) -> None:
    constants = {"factor": np.ones((3, 1, 1))} if "factor" in nodes else {"image": normal(1, 3, 4, 4)}
    model = canonical(
        f"(float[1,2,4,4] x) => (float[1,3,4,4] y) {{ a = Conv(x, weight, bias) c = Exp(a) {nodes} }}",
        weight=normal(3, 2, 1, 1),
        bias=normal(3),
        **constants,
    )
    assert len(model.graph) == 3


PAD = "p = Pad(r, pads{value})"
CONSUMERS = {
    "conv": "y = Conv<kernel_shape=[3,3], pads=[1,0,1,0]>(p, weight)",
    "max": "y = MaxPool<kernel_shape=[3,3], strides=[2,2]>(p)",
    "average": "y = AveragePool<kernel_shape=[3,3], strides=[2,2]>(p)",
    "counting": "y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>(p)",
    "not counting": "y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>(p)",
}


@pytest.mark.parametrize(
    ("source", "value", "reader", "folds"),
    [
        ("Tanh", None, "conv", True),
        ("Tanh", 0.0, "conv", True),
        ("Tanh", 1.0, "conv", False),
        ("Tanh", 0.0, "max", False),
        ("Relu", 0.0, "max", True),
        ("Sigmoid", 0.0, "max", True),
        ("Tanh", -np.inf, "max", True),
        ("Tanh", 0.0, "average", True),
        ("Tanh", 0.0, "not counting", False),
    ],
)
def test_pads(canonical: Canonical, source: str, value: float | None, reader: str, folds: bool) -> None:
    pad = PAD.format(value="" if value is None else ", value")
    constants: dict[str, Any] = {"pads": np.array([0, 0, 0, 1, 0, 0, 1, 1])}
    if value is not None:
        constants["value"] = np.float32(value)
    if reader == "conv":
        constants["weight"] = normal(3, 2, 3, 3)
    model = canonical(
        f"(float[1,2,7,7] x) => (float[1,c,h,w] y) {{ r = {source}(x) {pad} {CONSUMERS[reader]} }}",
        **constants,
    )
    assert ("Pad" not in ops(model)) == folds


def test_a_pad_wider_than_the_window_stays(canonical: Canonical) -> None:
    """A window that lies in the padding alone is no window for some runtimes."""
    nodes = f"r = Tanh(x) {PAD.format(value='')} {CONSUMERS['counting']}"
    model = canonical(
        f"(float[1,2,7,7] x) => (float[1,c,h,w] y) {{ {nodes} }}",
        pads=np.array([0, 0, 2, 2, 0, 0, 2, 2]),
    )
    assert ops(model) == ["Tanh", "Pad", "AveragePool"]


def test_a_pad_that_two_layers_read_goes_into_both(canonical: Canonical) -> None:
    model = canonical(
        "(float[1,2,7,7] x) => (float[1,3,h,w] y) "
        "{ p = Pad(x, pads) a = Conv(p, weight) b = Conv(p, other) y = Add(a, b) }",
        pads=np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        weight=normal(3, 2, 3, 3),
        other=normal(3, 2, 3, 3),
    )
    assert ops(model) == ["Conv", "Conv", "Add"]


def test_pads_for_some_axes_are_written_for_all(canonical: Canonical) -> None:
    model = canonical(
        "(float[1,2,5,5] x) => (float[1,2,h,w] y) { p = Pad(x, pads, value, axes) y = Tanh(p) }",
        pads=np.array([1, 0, 0, 2]),
        value=np.float32(3),
        axes=np.array([2, -1]),
    )
    pads = model.graph[0].inputs[1]
    assert pads is not None
    assert pads.const_value is not None
    assert pads.const_value.numpy().tolist() == [0, 0, 1, 0, 0, 0, 0, 2]


def test_shape_arithmetic_is_folded(canonical: Canonical) -> None:
    """What exporters write for ``x.view(x.size(0), -1)``."""
    model = canonical(
        "(float[1,3,4,4] x) => (float[1,48] y) "
        "{ s = Shape(x) n = Gather<axis=0>(s, zero) u = Unsqueeze(n, axes) "
        "t = Concat<axis=0>(u, rest) y = Reshape(x, t) }",
        zero=np.array(0),
        axes=np.array([0]),
        rest=np.array([-1]),
    )
    assert ops(model) == ["Flatten"]
    assert not model.graph.initializers


def test_constant_nodes_and_identities_vanish(canonical: Canonical) -> None:
    model = canonical(
        "(float[1,3,4,4] x) => (float[1,3,4,4] y) "
        "{ k = Constant<value_float=2.0>() i = Identity(x) d = Dropout(i) a = Mul(k, k) y = Mul(d, a) }"
    )
    assert ops(model) == ["Mul"]


def test_a_constant_output_is_refused(make_model: MakeModel) -> None:
    from edgekit.graph.passes import canonicalize

    model = make_model("(float[1,3] x) => (float[1,3] y) { y = Add(one, one) }", one=np.ones((1, 3)))
    with pytest.raises(UnsupportedError, match="does not depend on the input"):
        canonicalize(model)


def test_a_shape_that_depends_on_the_image_is_refused(make_model: MakeModel) -> None:
    from edgekit.graph.passes import canonicalize

    model = make_model("(float[1,3] x) => (float y) { s = ReduceSum(x) t = Cast<to=7>(s) y = Reshape(x, t) }")
    with pytest.raises(UnsupportedError, match="must be a constant"):
        canonicalize(model)
