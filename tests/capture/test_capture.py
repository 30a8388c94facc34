"""Captured graphs equal their modules, and both captures give the same graph."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import nn

from edgekit.capture import capture, load_onnx
from edgekit.errors import InputError, UnsupportedError, WeightsError
from edgekit.graph.values import array_of
from edgekit.models import module, zoo
from small_networks import representatives, tiny

RelativeError = Callable[[ir.Model, nn.Module], float]

TOLERANCE = 1e-4


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def describe(model: ir.Model) -> list[tuple[Any, ...]]:
    """Everything a node is, but for the order of attributes."""
    return [
        (
            node.name,
            node.op_type,
            [value.name if value else None for value in node.inputs],
            [(value.name, value.shape, value.dtype) for value in node.outputs],
            {name: attr.value for name, attr in node.attributes.items()},
        )
        for node in model.graph
    ]


def assert_same(first: ir.Model, second: ir.Model) -> None:
    """Equal node by node, with equal constants."""
    for a, b in zip(describe(first), describe(second), strict=True):
        assert a == b
    assert set(first.graph.initializers) == set(second.graph.initializers)
    for name, value in first.graph.initializers.items():
        left, right = array_of(value), array_of(second.graph.initializers[name])
        assert left is not None
        assert right is not None
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right, err_msg=name)


@pytest.mark.parametrize("name", representatives())
def test_zoo_graphs_equal_their_modules(name: str, relative_error: RelativeError) -> None:
    network = tiny(name)
    built = module.build(network)
    model = capture(built, (1, *network.input_shape), method="fx")
    assert relative_error(model, built) < TOLERANCE


@pytest.mark.parametrize("name", ["mobilenet_v2", "efficientnet_lite0"])
def test_default_scale(name: str, relative_error: RelativeError) -> None:
    network = zoo.network(name)
    built = module.build(network)
    assert relative_error(capture(built, (1, *network.input_shape)), built) < TOLERANCE


@pytest.mark.parametrize(
    "name",
    [
        "cifar_resnet20",
        "squeezenet1_0",
        "mobilenet_v1",
        "mobilenet_v2",
        "shufflenet_v2_x0_5",
        "efficientnet_b0",
        "efficientnet_lite0",
    ],
)
def test_both_captures_agree_on_families(name: str) -> None:
    network = tiny(name)
    built = module.build(network)
    shape = (1, *network.input_shape)
    assert_same(capture(built, shape, method="fx"), capture(built, shape, method="export"))


def test_mobilenet_v2_is_captured_in_half_a_second() -> None:
    built = module.build(zoo.network("mobilenet_v2", resolution=64))
    seconds = []
    for _ in range(3):
        start = time.process_time()  # what other processes take meanwhile does not count
        capture(built, (1, 3, 64, 64), method="fx")
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.5


def test_a_canonical_graph_saved_and_loaded_is_itself(tmp_path: Path) -> None:
    model = capture(module.build(zoo.network("efficientnet_b0", width=0.25, resolution=64)), (1, 3, 64, 64))
    ir.save(model, tmp_path / "model.onnx")
    assert_same(load_onnx(tmp_path / "model.onnx"), model)


class Everything(nn.Module):
    """Layers and functions that the families lack, as people write them."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 8, 3, 2, bias=False), nn.BatchNorm2d(8), nn.SiLU()
        )
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.relu = nn.ReLU6()
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.Hardsigmoid())
        self.grouped = nn.Conv2d(8, 8, 3, padding="same", dilation=2, groups=4)
        self.before = nn.BatchNorm2d(8)
        self.average = nn.AvgPool2d(2, padding=1, ceil_mode=True)
        self.hidden = nn.Linear(16, 12)
        self.norm = nn.BatchNorm1d(12)
        self.drop = nn.Dropout()
        self.classifier = nn.Linear(12, 5, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.pool(self.stem(x)))
        x = x * self.gate(x) + 0.5
        x = self.relu(self.grouped(x) - x / 2)
        x = nn.functional.hardswish(self.before(x))
        x = self.average(x)
        a = torch.clamp(x, -1, 1).mean((2, 3))
        b = nn.functional.adaptive_avg_pool2d(x, (1, 1)).view(x.size(0), -1)
        y = torch.cat([a, torch.flatten(torch.tanh(b), 1)], dim=-1)
        y = nn.functional.leaky_relu(self.norm(self.hidden(y)), 0.2)
        y = nn.functional.dropout(y, training=self.training)
        return torch.softmax(self.classifier(self.drop(y)), dim=1)


def everything() -> nn.Module:
    torch.manual_seed(0)
    built = Everything()
    with torch.no_grad():
        for layer in built.modules():
            if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
                assert layer.running_mean is not None
                assert layer.running_var is not None
                layer.running_mean.normal_()
                layer.running_var.uniform_(0.5, 2)
                layer.weight.normal_()
                layer.bias.normal_()
    return built


def test_both_captures_agree_on_other_layers(relative_error: RelativeError) -> None:
    built = everything()
    direct = capture(built, (1, 3, 33, 33), method="fx")
    assert relative_error(direct, built) < TOLERANCE
    assert_same(direct, capture(built, (1, 3, 33, 33), method="export"))


def test_names_are_the_layers(relative_error: RelativeError) -> None:
    model = capture(everything(), (1, 3, 33, 33))
    names = [node.name for node in model.graph]
    assert names[:6] == ["stem.1", "stem.3.sigmoid", "stem.3.mul", "pool", "relu", "gate.0"]
    assert {"relu_2", "mul", "classifier", "hidden", "gate.2"} <= set(names)
    assert model.graph.inputs[0].name == "image"
    assert model.graph.outputs[0].name == "logits"
    assert "gate.1.weight" in model.graph.initializers


class DataDependent(nn.Module):
    """torch.fx cannot follow the size check; torch.export can."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[2] > 4:
            x = self.conv(x)
        return x.mean((2, 3))


def test_what_fx_cannot_trace_is_exported(relative_error: RelativeError) -> None:
    built = DataDependent()
    with pytest.raises(UnsupportedError, match="cannot trace"):
        capture(built, (1, 3, 8, 8), method="fx")
    assert relative_error(capture(built, (1, 3, 8, 8)), built) < TOLERANCE


@pytest.mark.parametrize("layer", [nn.GELU(), nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect")])
def test_what_the_direct_capture_does_not_know_is_named(layer: nn.Module) -> None:
    with pytest.raises(UnsupportedError):
        capture(nn.Sequential(layer), (1, 3, 8, 8), method="fx")


def test_a_layer_with_hooks_is_not_captured_without_them() -> None:
    layer = nn.ReLU()
    layer.register_forward_hook(lambda _module, _args, output: output + 1)
    with pytest.raises(UnsupportedError, match="hooks"):
        capture(nn.Sequential(layer), (1, 3, 8, 8), method="fx")


def test_the_module_is_left_as_it_was() -> None:
    built = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4).eval(), nn.Dropout())
    model = capture(built, (1, 3, 4, 4))
    assert [layer.training for layer in built.modules()] == [True, True, False, True]
    before = array_of(model.graph.initializers["0.weight"])
    assert before is not None
    before = before.copy()
    with torch.no_grad():
        built[0].weight.zero_()  # type: ignore[operator]  # mypy does not see the layer behind the index
    np.testing.assert_array_equal(array_of(model.graph.initializers["0.weight"]), before)


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (), (1, 3, 0, 8)])
def test_input_shapes_that_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="batch size 1"):
        capture(nn.Sequential(nn.ReLU()), shape)


def test_an_image_smaller_than_a_kernel_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="smaller than kernel"):
        capture(nn.Sequential(nn.Conv2d(3, 4, 7)), (1, 3, 4, 4))


def test_a_module_that_fails_on_its_input() -> None:
    with pytest.raises(InputError, match="fails on an input of shape"):
        capture(nn.Sequential(nn.Conv2d(4, 4, 1)), (1, 3, 4, 4), method="export")


def test_damaged_and_missing_weights_are_named() -> None:
    built = nn.Sequential(nn.Conv2d(3, 4, 1))
    with torch.no_grad():
        built[0].weight[0, 0] = float("nan")  # type: ignore[operator]
    with pytest.raises(WeightsError, match=r"0\.weight"):
        capture(built, (1, 3, 4, 4))
    with pytest.raises(WeightsError, match="no weights"):
        capture(nn.Sequential(nn.Conv2d(3, 4, 1, device="meta")), (1, 3, 4, 4))


class Sizes(nn.Module):
    """Pools of uneven windows, interpolation, and weights that the module computes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.up = nn.Conv2d(3, 4, 3), nn.Upsample(scale_factor=2, mode="bilinear")
        self.share = nn.Parameter(torch.tensor([1.0, 0.5]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.conv.weight - self.conv.weight.mean((1, 2, 3), keepdim=True)
        x = nn.functional.conv2d(x, weight, self.conv.bias)
        parts = torch.relu(self.share) / self.share.sum()
        uneven = nn.functional.adaptive_avg_pool2d(x, (3, 6))
        alike = nn.functional.adaptive_avg_pool2d(x, 13)
        wide = nn.functional.interpolate(uneven, size=(26, 26), mode="bilinear", align_corners=True)
        near = nn.functional.interpolate(alike, scale_factor=2.0)
        return torch.cat([parts[0] * wide, parts[1] * near, self.up(alike)], 1)


def test_sizes_change_as_in_torch(relative_error: RelativeError) -> None:
    module = Sizes()
    model = capture(module, (1, 3, 16, 16), method="fx")
    operators = [node.op_type for node in model.graph]
    assert operators.count("AveragePool") == 1  # of 14 × 14 to 13 × 13: equal windows, one step apart
    assert relative_error(model, module) < TOLERANCE
