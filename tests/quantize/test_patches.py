"""Patches against onnxruntime's convolutions: patch · weight row is an output."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgekit.graph.run import GraphRunner
from edgekit.graph.values import array_of
from edgekit.quantize.arithmetic import ActivationParams, FloatArray, Int8Array, dequantize
from edgekit.quantize.patches import sample_patches
from graphs import GraphBuilder

PARAMS = ActivationParams(0.125, 17)  # zero is not the integer 0: padding has to know
ALL = 10**9

Conv = dict[str, int | tuple[int, ...]]
CONVS: dict[str, Conv] = {
    "plain": {"filters": 6, "kernel": 3},
    "pointwise": {"filters": 5, "kernel": 1},
    "strided, padded on one side": {"filters": 4, "kernel": 3, "stride": 2, "pads": (0, 0, 1, 1)},
    "dilated": {"filters": 4, "kernel": 3, "dilation": 2, "pads": (2, 2, 2, 2)},
    "oblong": {"filters": 4, "kernel": (1, 5), "pads": (0, 2, 0, 2)},
    "grouped": {"filters": 6, "kernel": 3, "group": 2, "pads": (1, 1, 1, 1)},
    "depthwise": {"filters": 4, "kernel": 3, "group": 4, "stride": 2, "pads": (1, 1, 1, 1)},
    "depthwise, two filters each": {"filters": 8, "kernel": 3, "group": 4},
}


def convolution(options: Conv) -> tuple[ir.Node, GraphRunner, FloatArray, FloatArray]:
    """The node, a runner, and its weight rows ``[groups, O, K]`` and bias."""
    builder = GraphBuilder([1, 4, 9, 7])
    model = builder.model(builder.conv(builder.image, **options))  # type: ignore[arg-type]
    node = next(iter(model.graph))
    weight, bias = (np.asarray(array_of(node.inputs[i]), np.float32) for i in (1, 2))
    groups = node.attributes.get_int("group", 1)
    return node, GraphRunner(model), weight.reshape(groups, len(weight) // groups, -1), bias


def integers(count: int = 3) -> Int8Array:
    return np.random.default_rng(0).integers(-128, 128, (count, 4, 9, 7), np.int8)


@pytest.mark.parametrize("name", CONVS)
def test_all_patches_give_the_whole_output(name: str) -> None:
    node, runner, rows, bias = convolution(CONVS[name])
    patches = sample_patches(node, integers(), PARAMS, ALL, seed=0)
    outputs = np.einsum("grk,gok->rgo", patches, rows).reshape(-1, len(bias)) + bias
    expected = (
        runner.run(dequantize(integers(), PARAMS))["logits"].transpose(0, 2, 3, 1).reshape(-1, len(bias))
    )
    np.testing.assert_allclose(outputs, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", CONVS)
def test_a_sample_is_of_distinct_patches(name: str) -> None:
    node, _, rows, _ = convolution(CONVS[name])
    everything = sample_patches(node, integers(), PARAMS, ALL, seed=0)
    sample = sample_patches(node, integers(), PARAMS, 10, seed=3)
    assert sample.shape == (len(rows), 10, rows.shape[2])
    known = {patch.tobytes(): i for i, patch in enumerate(everything.transpose(1, 0, 2))}
    found = [known[patch.tobytes()] for patch in np.ascontiguousarray(sample.transpose(1, 0, 2))]
    assert len(set(found)) == 10
    again, other = (sample_patches(node, integers(), PARAMS, 10, seed=seed) for seed in (3, 4))
    np.testing.assert_array_equal(sample, again)
    assert not np.array_equal(sample, other)


def test_samples_come_from_all_images() -> None:
    node, _, _, _ = convolution({"filters": 1, "kernel": 1})
    images = np.repeat(np.arange(20, dtype=np.int8), 4 * 63).reshape(20, 4, 9, 7)
    sample = sample_patches(node, images, ActivationParams(1.0, 0), 400, seed=0)
    assert set(np.unique(sample)) == set(range(20))


def test_a_classifier_sees_its_inputs() -> None:
    builder = GraphBuilder([1, 5])
    node = next(iter(builder.model(builder.gemm(builder.image, 3)).graph))
    inputs = np.arange(10, dtype=np.int8).reshape(2, 5)
    patches = sample_patches(node, inputs, PARAMS, 1000, seed=0)
    np.testing.assert_array_equal(patches, dequantize(inputs, PARAMS)[None])
