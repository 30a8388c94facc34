"""Costs counted on graphs, against sums by hand and against the families' closed forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest

from edgekit.capture import capture
from edgekit.errors import InputError
from edgekit.graph.count import count
from edgekit.graph.passes import canonicalize
from edgekit.models import cost as closed_form
from edgekit.models import module, zoo
from edgekit.options import PRECISIONS

MakeModel = Callable[..., ir.Model]

# Scales that exercise rounding of channels and repeats, odd sizes, other inputs and outputs.
SCALES: list[dict[str, Any]] = [
    {"resolution": 64},
    {"width": 0.35, "resolution": 97},
    {"depth": 1.4, "width": 0.5, "resolution": 128, "num_classes": 10, "in_channels": 1},
]


def small_graph(make_model: MakeModel) -> ir.Model:
    model = make_model(
        "(float[1,3,8,8] x) => (float[1,2] y) "
        "{ a = Conv<strides=[2,2], pads=[1,1,1,1]>(x, w, b) r = Relu(a) d = Conv<group=4>(r, k) "
        "s = Add(r, d) g = GlobalAveragePool(s) f = Flatten(g) y = Gemm<transB=1>(f, v, c) }",
        w=np.zeros((4, 3, 3, 3)),
        b=np.zeros(4),
        k=np.zeros((4, 1, 1, 1)),
        v=np.zeros((2, 4)),
        c=np.zeros(2),
    )
    canonicalize(model)
    return model


def test_a_small_graph_by_hand(make_model: MakeModel) -> None:
    cost = count(small_graph(make_model))
    rows = [(row.op, row.output_shape, row.weights, row.biases, row.macs) for row in cost.layers]
    assert rows == [
        ("Conv", (1, 4, 4, 4), 108, 4, 64 * 27),
        ("Conv", (1, 4, 4, 4), 4, 4, 64),
        ("Add", (1, 4, 4, 4), 0, 0, 0),
        ("GlobalAveragePool", (1, 4, 1, 1), 0, 0, 0),
        ("Gemm", (1, 2), 8, 2, 8),
    ]
    assert cost.macs == 64 * 27 + 64 + 8
    assert cost.params == 130
    # The first convolution reads 192 values and writes 64; the sum reads two tensors of 64 and writes one.
    assert cost.peak_activation_elements == 192 + 64


def test_bytes_by_precision(make_model: MakeModel) -> None:
    cost = count(small_graph(make_model))
    assert [cost.weight_bytes(precision) for precision in PRECISIONS] == [520, 260, 160, 160, 160, 200]
    peaks = [cost.peak_activation_bytes(precision) for precision in PRECISIONS]
    assert peaks == [1024, 1024, 256, 1024, 1024, 512]


def test_a_tensor_lives_until_its_last_reader(make_model: MakeModel) -> None:
    model = make_model(
        "(float[1,10] x) => (float[1,10] y) { a = Tanh(x) b = Exp(a) c = Exp(b) d = Exp(c) y = Add(d, a) }"
    )
    canonicalize(model)
    assert count(model).peak_activation_elements == 30


def test_a_clamp_that_shares_its_input_has_memory_of_its_own(make_model: MakeModel) -> None:
    model = make_model("(float[1,10] x) => (float[1,10] y) { a = Tanh(x) b = Relu(a) y = Add(a, b) }")
    canonicalize(model)
    cost = count(model)
    assert [row.op for row in cost.layers] == ["Tanh", "Relu", "Add"]
    assert cost.peak_activation_elements == 30


def test_a_returned_tensor_lives_to_the_end(make_model: MakeModel) -> None:
    body = "{ a = Tanh(x) b = Exp(a) y = Exp(b) }"
    for outputs, expected in (("(float[1,10] y)", 20), ("(float[1,10] y, float[1,10] a)", 30)):
        model = make_model(f"(float[1,10] x) => {outputs} {body}")
        canonicalize(model)
        assert count(model).peak_activation_elements == expected


def test_a_shared_constant_is_counted_once(make_model: MakeModel) -> None:
    model = make_model(
        "(float[1,3,4,4] x) => (float[1,3,4,4] y) { a = Conv(x, w, b) r = Tanh(a) y = Conv(r, w, b) }",
        w=np.zeros((3, 3, 1, 1)),
        b=np.zeros(3),
    )
    canonicalize(model)
    assert count(model).params == 12


@pytest.mark.parametrize("scale", SCALES, ids=str)
@pytest.mark.parametrize("family", zoo.families())
def test_families_equal_their_closed_form(family: str, scale: dict[str, Any]) -> None:
    network = _scaled(zoo.names(family)[0], scale)
    graph = count(capture(_without_weights(network), (1, *network.input_shape)))
    for precision in PRECISIONS:
        expected = closed_form.cost(network, precision)
        assert graph.macs == expected.macs
        assert graph.weight_bytes(precision) == expected.weight_bytes
        assert graph.peak_activation_bytes(precision) == expected.peak_activation_bytes
        assert [
            (r.name, r.op, r.output_shape, r.activation_bytes(precision), r.macs, r.weights, r.biases)
            for r in graph.layers
        ] == [
            (r.name, r.op, r.output_shape, r.activation_bytes, r.macs, r.weights, r.biases)
            for r in expected.layers()
        ]


def _scaled(name: str, scale: dict[str, Any]) -> Any:
    """The network at that scale, without a depth it does not have, and no smaller than it can be."""
    for without, least in ((), 0), (("depth",), 0), ((), 160), (("depth",), 160):
        chosen = {key: value for key, value in scale.items() if key not in without}
        try:
            return zoo.network(name, **chosen | {"resolution": max(least, chosen["resolution"])})
        except InputError:
            continue
    pytest.fail(f"{name} cannot be built at {scale}")


def _without_weights(network: Any) -> Any:
    """The network's module with ones for weights: costs do not depend on them."""
    built = module.assemble(network).to_empty(device="cpu")
    for tensor in (*built.parameters(), *built.buffers()):
        tensor.data.fill_(1)
    return built
