"""From the text of MODEL to a graph with its preprocessing, labels and warnings."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import nn

from edgekit import building
from edgekit.building import build_graph
from edgekit.errors import EdgekitError, InputError, WeightsError
from edgekit.graph.run import GraphRunner
from edgekit.graph.values import shape_of
from edgekit.models import module, zoo
from edgekit.models.pretrained import LITE_MEAN, LITE_STD
from edgekit.options import ExportOptions, Preprocessing, ScaleChange
from graphs import GraphBuilder
from small_models import CLASSES, SIZE, save_onnx

SMALL = ScaleChange(width=0.35, resolution=32, num_classes=5)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_a_network_of_the_zoo_answers_like_its_module() -> None:
    built = build_graph("mobilenet_v2", ExportOptions(scale=SMALL, weights="random", seed=3))
    network = zoo.network("mobilenet_v2", width=0.35, resolution=32, num_classes=5)
    image = np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32)
    with torch.no_grad():
        expected = module.build(network, seed=3)(torch.from_numpy(image)).numpy()
    (found,) = GraphRunner(built.graph).run(image).values()
    np.testing.assert_allclose(found, expected, atol=1e-4 * float(np.abs(expected).max()))
    model = built.model
    assert (model.name, model.width, model.depth, model.resolution) == ("mobilenet_v2", 0.35, 1.0, 32)
    assert (model.num_classes, model.weights) == (5, "random")
    assert set(built.seconds) == {"build", "capture"}
    assert min(built.seconds.values()) > 0


def test_auto_takes_random_weights_aloud_where_none_are_installed() -> None:
    built = build_graph("mobilenet_v2", ExportOptions(scale=SMALL))
    assert built.model.weights == "random"
    assert "random" in built.warnings[0]


def test_auto_takes_those_of_an_installed_package() -> None:
    built = build_graph("efficientnet_lite0", ExportOptions(scale=ScaleChange(resolution=32)))
    assert built.model.weights == "imagenet"
    assert built.warnings == ()
    assert (built.preprocessing.mean, built.preprocessing.std) == (LITE_MEAN, LITE_STD)
    assert built.labels is not None
    assert (len(built.labels), built.preprocessing.crop) == (1000, 32)


def test_auto_neither_downloads_nor_fails_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(building, "find_spec", missing)
    built = build_graph("efficientnet_lite0", ExportOptions(scale=ScaleChange(resolution=32)))
    assert built.model.weights == "random"
    assert built.labels is None


def test_an_onnx_file(tmp_path: Path) -> None:
    built = build_graph(str(save_onnx(tmp_path / "net.onnx")), ExportOptions())
    assert (built.model.name, built.model.resolution, built.model.num_classes) == ("net", SIZE, CLASSES)
    assert built.model.weights == "file:net.onnx"
    assert built.preprocessing == Preprocessing(resize_short_side=27, crop=SIZE)
    assert "does not say how images become its input" in built.warnings[0]


def test_a_gray_onnx_file(tmp_path: Path) -> None:
    built = build_graph(str(save_onnx(tmp_path / "gray.onnx", channels=1)), ExportOptions())
    preprocessing = built.preprocessing
    assert (preprocessing.color, preprocessing.mean, preprocessing.std) == ("L", (0.5,), (0.5,))


def test_a_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own_networks", raising=False)
    Path("own_networks.py").write_text(
        "from torch import nn\n"
        "def tiny():\n"
        "    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(400, 3))\n"
    )
    change = ScaleChange(resolution=12, in_channels=1)
    built = build_graph("own_networks:tiny", ExportOptions(scale=change))
    assert shape_of(built.graph.graph.inputs[0]) == (1, 1, 12, 12)
    assert (built.model.name, built.model.num_classes) == ("tiny", 3)
    assert built.model.weights == "file:own_networks:tiny"
    assert "BatchNormalization" not in [node.op_type for node in built.graph.graph]


def wide(b: GraphBuilder) -> ir.Value:
    return b.gemm(b.op("Flatten", b.op("GlobalAveragePool", b.conv(b.image, 4)), axis=1), 3)


OTHERS: dict[str, tuple[tuple[int, ...], Callable[[GraphBuilder], ir.Value], int, int]] = {
    "four channels": ((1, 4, 8, 8), wide, 32, 3),
    "not square": ((1, 3, 8, 10), wide, 10, 3),
    "no classifier": ((1, 3, 8, 8), lambda b: b.conv(b.image, 4), 8, 4),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_classifier_of_square_images(tmp_path: Path, name: str) -> None:
    shape, network, size, classes = OTHERS[name]
    builder = GraphBuilder(shape)
    ir.save(builder.model(network(builder)), tmp_path / "net.onnx")
    built = build_graph(str(tmp_path / "net.onnx"), ExportOptions())
    assert built.feeding.shapes == (shape,)
    assert (built.model.resolution, built.model.num_classes) == (size, classes)
    fed = built.feeding.feed(np.ones((1, 3, size, size), np.float32))
    assert fed.shape == shape
    assert ("random numbers" in built.warnings[0]) == (shape[1] == 4)


def test_two_outputs(tmp_path: Path) -> None:
    builder = GraphBuilder((1, 3, 8, 8))
    hidden = builder.op("Relu", builder.conv(builder.image, 4))
    model = builder.model(builder.gemm(builder.op("Flatten", hidden, axis=1), 3))
    model.graph.outputs.append(hidden)
    ir.save(model, tmp_path / "net.onnx")
    built = build_graph(str(tmp_path / "net.onnx"), ExportOptions())
    assert [shape_of(value) for value in built.graph.graph.outputs] == [(1, 3), (1, 4, 6, 6)]


class _NotFinite(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(12, 2)
        nn.init.constant_(self.head.weight, float("nan"))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(torch.flatten(x, 1))
        return logits


@pytest.mark.parametrize(
    ("model", "options", "error"),
    [
        ("mobilenet_v2", ExportOptions(scale=SMALL, weights="imagenet"), WeightsError),
        ("mobilenet_v2", ExportOptions(scale=ScaleChange(in_channels=4), weights="random"), WeightsError),
        ("mobilenet_v2", ExportOptions(scale=ScaleChange(resolution=8)), InputError),
        ("own_not_finite:make", ExportOptions(scale=ScaleChange(resolution=2)), WeightsError),
    ],
    ids=["no such weights", "four channels", "resolution", "nan"],
)
def test_what_cannot_be_built(
    monkeypatch: pytest.MonkeyPatch, model: str, options: ExportOptions, error: type[EdgekitError]
) -> None:
    own = type(sys)("own_not_finite")
    own.make = _NotFinite  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_not_finite", own)
    with pytest.raises(error) as caught:
        build_graph(model, options)
    assert caught.value.hint


@pytest.mark.parametrize("weights", ["net.pt", "hf://timm/resnet18.a1_in1k"])
def test_weights_for_a_file_that_has_its_own_are_refused(tmp_path: Path, weights: str) -> None:
    path = save_onnx(tmp_path / "own.onnx")
    with pytest.raises(InputError, match="has weights of its own") as caught:
        build_graph(str(path), ExportOptions(weights=weights))
    assert "networks by name" in caught.value.hint
