"""Running graphs and parts of them on batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from edgekit.errors import InputError, UnknownNameError
from edgekit.graph.batch import free_batch
from edgekit.graph.passes import canonicalize
from edgekit.graph.run import GraphRunner
from edgekit.graph.subgraph import extract_subgraph, find_value

MakeModel = Callable[..., ir.Model]

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4, 6, 6)).astype(np.float32)
BODY = (
    "(float[1,4,6,6] x) => (float[1,5] y) "
    "{ a = Conv<pads=[1,1,1,1]>(x, w) b = Relu(a) c = Add(b, x) g = GlobalAveragePool(c) f = Flatten(g) "
    "y = Gemm<transB=1>(f, v, k) }"
)


@pytest.fixture
def model(make_model: MakeModel) -> ir.Model:
    model = make_model(
        BODY, w=RNG.standard_normal((4, 4, 3, 3)), v=RNG.standard_normal((5, 4)), k=RNG.standard_normal(5)
    )
    canonicalize(model)
    return model


def test_a_batch_is_its_images_one_by_one(model: ir.Model) -> None:
    runner = GraphRunner(model)
    batch = runner.run(X)["logits"]
    assert batch.shape == (3, 5)
    for i in range(3):
        np.testing.assert_allclose(runner.run(X[i : i + 1])["logits"][0], batch[i], rtol=1e-5, atol=1e-6)


def test_any_value_can_be_read(model: ir.Model) -> None:
    names = ["logits", "conv", "image", "conv.bias", "relu"]
    found = GraphRunner(model, names).run(X)
    assert list(found) == names
    np.testing.assert_array_equal(found["image"], X)
    np.testing.assert_array_equal(found["relu"], np.maximum(found["conv"], 0))
    np.testing.assert_array_equal(found["conv.bias"], np.zeros(4))


def test_parts_joined_are_the_whole(model: ir.Model) -> None:
    whole = GraphRunner(model, ["relu", "logits"]).run(X)
    first = GraphRunner(model, ["relu"]).run(X)
    second = GraphRunner(model, inputs=["relu", "image"]).run({"relu": first["relu"], "image": X})
    np.testing.assert_allclose(second["logits"], whole["logits"], rtol=1e-5, atol=1e-6)


def test_unoptimized_and_threaded_sessions_agree(model: ir.Model) -> None:
    expected = GraphRunner(model).run(X)["logits"]
    for runner in (GraphRunner(model, optimize=False), GraphRunner(model, num_threads=None)):
        np.testing.assert_allclose(runner.run(X)["logits"], expected, rtol=1e-5, atol=1e-6)


def test_the_model_is_left_alone(model: ir.Model) -> None:
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    GraphRunner(model, ["conv"]).run(X)
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before


def test_a_subgraph_shares_weights_and_keeps_names(model: ir.Model) -> None:
    part = extract_subgraph(model, ["conv"], ["relu"])
    assert [value.name for value in part.graph.inputs] == ["conv"]
    with pytest.raises(UnknownNameError):
        find_value(part, "logits")
    part = extract_subgraph(model, ["image"], ["conv"])
    weight, original = find_value(part, "conv.weight"), find_value(model, "conv.weight")
    assert weight is not original
    assert weight.const_value is original.const_value


@pytest.mark.parametrize(
    ("inputs", "outputs"), [(["conf"], ["logits"]), (["image"], ["logit"]), (["conv"], ["logits"])]
)
def test_unknown_and_missing_names(model: ir.Model, inputs: list[str], outputs: list[str]) -> None:
    with pytest.raises(UnknownNameError):
        extract_subgraph(model, inputs, outputs)


@pytest.mark.parametrize("batch", [np.zeros((2, 3, 6, 6)), np.zeros((0, 4, 6, 6)), np.zeros((4, 6, 6))])
def test_what_does_not_fit_is_refused(model: ir.Model, batch: np.ndarray) -> None:
    with pytest.raises(InputError):
        GraphRunner(model).run(batch)


def test_wrong_input_names_are_refused(model: ir.Model) -> None:
    with pytest.raises(InputError, match="expected"):
        GraphRunner(model).run({"x": X})


# Operators that touch the batch dimension, and whether the whole batch can still be one call.
BATCHED = [
    ("Reshape(r, t)", {"t": np.array([1, 2, 2, 36])}, True),
    ("Reshape(r, t)", {"t": np.array([4, 36])}, False),
    ("Transpose<perm=[0,2,3,1]>(r)", {}, True),
    ("Transpose<perm=[1,0,2,3]>(r)", {}, False),
    ("Concat<axis=1>(r, x)", {}, True),
    ("Softmax<axis=-1>(r)", {}, True),
    ('Resize<mode="nearest">(r, , s)', {"s": np.array([1, 1, 2, 2], np.float32)}, True),
    ('Resize<mode="nearest">(r, , , s)', {"s": np.array([1, 4, 12, 12])}, False),
    (
        'Resize<mode="nearest">(r, n, n, s)',
        {"s": np.array([1, 4, 12, 12]), "n": np.zeros(0, np.float32)},
        False,
    ),
    ("ReduceMax<keepdims=0>(r, axes)", {"axes": np.array([1])}, True),
    ("ReduceMax(r)", {}, False),
    ("Slice(r, b, e, axes)", {"b": [0], "e": [2], "axes": [1]}, True),
    ("Gather<axis=2>(r, i)", {"i": [1, 0]}, True),
    ("Expand(r, t)", {"t": [1, 4, 6, 6]}, False),
]


@pytest.mark.parametrize(("call", "constants", "floats"), BATCHED)
def test_operators_on_batches(
    make_model: MakeModel, call: str, constants: dict[str, object], floats: bool
) -> None:
    body = f"(float[1,4,6,6] x) => (float y) {{ r = Tanh(x) q = {call} y = Relu(q) }}"
    model = make_model(body, **constants)
    from edgekit.graph.ops import infer_types

    for node in model.graph:
        infer_types(node)
    runner = GraphRunner(model)
    batch = runner.run(X)["y"]
    singles = np.concatenate([runner.run(X[i : i + 1])["y"] for i in range(3)])
    np.testing.assert_array_equal(batch, singles)
    assert free_batch(model.clone()) == floats
