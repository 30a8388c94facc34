"""A description is the same whether it is worked out from the table or counted on the graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgekit
from edgekit.description import describe, models
from edgekit.models import zoo
from edgekit.options import ScaleChange


def save_onnx(path: Path) -> None:
    """The first layer of AlexNet in the CS231n notes: 64 filters of 11 × 11, stride 4, padding 2."""
    weights = np.zeros((64, 3, 11, 11), np.float32)
    nodes = [
        helper.make_node(
            "Conv", ["image", "w", "b"], ["c"], kernel_shape=[11, 11], strides=[4, 4], pads=[2] * 4
        ),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        helper.make_node("Flatten", ["p"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "alexnet",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 227, 227])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 64])],
        [numpy_helper.from_array(weights, "w"), numpy_helper.from_array(weights[:, 0, 0, 0], "b")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), path)


def test_an_onnx_file_is_counted_as_in_the_lecture_notes(tmp_path: Path) -> None:
    save_onnx(tmp_path / "alexnet.onnx")
    description = describe(str(tmp_path / "alexnet.onnx"))
    first = description.layers[0]
    assert description.model == "alexnet"
    assert description.input_shape == (1, 3, 227, 227)
    assert first.output_shape == (1, 64, 56, 56)
    assert first.activation_bytes == 784 * 1024
    assert first.params == 23_296
    assert round(first.macs / 1e6, 1) == 72.9
    assert description.totals.params == 23_296
    assert description.totals.weight_bytes == 4 * 23_296


def test_a_function_is_described_by_its_graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "described_networks.py").write_text(
        "from torch import nn\n"
        "def build():\n"
        "    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 5))\n"
    )
    monkeypatch.chdir(tmp_path)
    description = describe("described_networks:build", ScaleChange(resolution=8, in_channels=1))
    assert description.input_shape == (1, 1, 8, 8)
    assert [layer.op for layer in description.layers] == ["Conv", "Gemm"]
    assert description.totals.params == 8 * 9 + 8 + 5 * 288 + 5
    assert description.totals.macs == 36 * 8 * 9 + 5 * 288


@pytest.mark.parametrize("name", zoo.names())
def test_totals_are_the_sums_of_the_layers(name: str) -> None:
    description = describe(name)
    assert description.totals.params == sum(layer.params for layer in description.layers)
    assert description.totals.macs == sum(layer.macs for layer in description.layers)
    assert description.totals.peak_activation_bytes >= max(
        layer.activation_bytes for layer in description.layers
    )


def test_models_are_described_at_their_own_scale() -> None:
    for row in models():
        description = edgekit.describe(row.name)
        assert (row.params, row.macs) == (description.totals.params, description.totals.macs)
        channels = zoo.default_scale(row.name).in_channels
        assert description.input_shape == (1, channels, row.resolution, row.resolution)
        assert row.params == (zoo.entry(row.name).published.params or row.params)
