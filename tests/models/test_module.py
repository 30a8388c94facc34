"""The torch modules: structure, padding, tracing and random weights."""

from __future__ import annotations

import math
import operator
from copy import deepcopy

import pytest
import torch
from torch import fx, nn
from torch.nn import functional

from edgekit.models import zoo
from edgekit.models.blocks import ConvBlock
from edgekit.models.leaves import JoinPaths
from edgekit.models.module import assemble, build
from edgekit.models.network import TENSORFLOW, TORCH, Network, Unit
from edgekit.models.scale import Scale
from small_networks import representatives, small

LEAVES = (
    nn.Conv2d,
    nn.BatchNorm2d,
    nn.ReLU,
    nn.ReLU6,
    nn.SiLU,
    nn.Sigmoid,
    nn.Hardswish,
    nn.Hardsigmoid,
    nn.Tanh,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.LocalResponseNorm,
    nn.ChannelShuffle,
    nn.ZeroPad2d,
    nn.ConstantPad3d,
    nn.Linear,
    nn.Flatten,
    nn.Dropout,
)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("name", representatives())
def test_every_network_traces_to_plain_leaves(name: str) -> None:
    traced = fx.symbolic_trace(assemble(zoo.network(name)))
    modules = dict(traced.named_modules())
    for node in traced.graph.nodes:
        if node.op == "call_module":
            assert type(modules[node.target]) in LEAVES
        elif node.op == "call_function":
            assert node.target in (operator.add, operator.mul, torch.cat, torch.narrow)
        else:
            assert node.op in ("placeholder", "output")


@pytest.mark.parametrize("name", representatives())
def test_every_network_answers_with_logits(name: str) -> None:
    network = small(name, width=0.3, depth=0.4, resolution=40, num_classes=5, in_channels=2)
    module = build(network, seed=1)
    images = torch.randn(2, *network.input_shape, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        logits = module(images)
        assert torch.equal(fx.symbolic_trace(module)(images), logits)
    assert logits.shape == (2, 5)
    assert logits.isfinite().all()
    assert not module.training


def test_tensors_have_the_layers_names() -> None:
    state = assemble(zoo.network("efficientnet_b0")).state_dict()
    assert {
        "stem.conv.weight",
        "blocks.3.expand.weight",
        "blocks.3.expand_bn.running_var",
        "blocks.3.se.reduce.bias",
        "blocks.3.project.weight",
        "head.conv_bn.bias",
        "classifier.linear.weight",
    } <= set(state)


def same_padded(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """TensorFlow's SAME, from its definition: ceil(size / stride) outputs, the odd pixel at the end."""
    pads = []
    for size, kernel, stride in zip(x.shape[:1:-1], conv.kernel_size[::-1], conv.stride[::-1], strict=True):
        total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        pads += [total // 2, total - total // 2]
    return functional.conv2d(functional.pad(x, pads), conv.weight, conv.bias, conv.stride)


@pytest.mark.parametrize("size", [8, 9, 17, 32])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_both_paddings_are_their_definitions(size: int, kernel: int, stride: int) -> None:
    block = ConvBlock(4, kernel, stride, activation="relu", norm=False)
    units = (Unit("stem", block),)
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    for convention in (TORCH, TENSORFLOW):
        module = build(Network("conv", "test", Scale(resolution=size), units, convention))
        conv = module.get_submodule("stem.conv")
        assert isinstance(conv, nn.Conv2d)
        with torch.no_grad():
            expected = (
                same_padded(conv, x)
                if convention is TENSORFLOW
                else functional.conv2d(x, conv.weight, conv.bias, stride, kernel // 2)
            )
            found = module(x)
        assert found.shape[2] == math.ceil(size / stride)
        torch.testing.assert_close(found, expected.relu())


def test_only_uneven_padding_is_a_layer_of_its_own() -> None:
    even = assemble(zoo.network("efficientnet_lite0", resolution=225))
    uneven = assemble(zoo.network("efficientnet_lite0", resolution=224))
    count = [sum(isinstance(leaf, nn.ZeroPad2d) for leaf in each.modules()) for each in (even, uneven)]
    assert count == [0, 5]
    torch_style = assemble(zoo.network("mobilenet_v2"))
    assert not any(isinstance(leaf, nn.ZeroPad2d) for leaf in torch_style.modules())


def test_the_convention_sets_epsilon() -> None:
    for name, eps in (("efficientnet_lite0", 1e-3), ("efficientnet_b0", 1e-5)):
        norms = [leaf for leaf in assemble(zoo.network(name)).modules() if isinstance(leaf, nn.BatchNorm2d)]
        assert {norm.eps for norm in norms} == {eps}


def test_equal_seeds_give_equal_weights_whatever_the_global_state() -> None:
    network = zoo.network("mobilenet_v2", width=0.35, resolution=64)
    torch.manual_seed(1)
    first, other = build(network, seed=3).state_dict(), build(network, seed=4).state_dict()
    torch.manual_seed(2)
    again = build(network, seed=3).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["stem.conv.weight"], other["stem.conv.weight"])


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("mobilenet_v1", {"resolution": 128}),
        ("mobilenet_v2", {"resolution": 128}),
        ("efficientnet_b0", {"resolution": 128}),
        ("efficientnet_b7", {"width": 0.25, "resolution": 96}),
        ("efficientnet_lite4", {"width": 0.25, "resolution": 96}),
        ("squeezenet1_1", {"resolution": 128}),
    ],
)
def test_random_networks_keep_their_activations_in_bounds(name: str, scale: dict[str, int]) -> None:
    """On images unlike those that set the statistics: no layer explodes and none dies."""
    network = zoo.network(name, **scale)  # type: ignore[arg-type]  # widths are floats
    module = build(network, seed=0)
    seen: list[tuple[float, float]] = []
    for leaf in module.modules():
        if isinstance(leaf, nn.Conv2d | nn.BatchNorm2d | nn.Linear):
            leaf.register_forward_hook(
                lambda _leaf, _inputs, output: seen.append((float(output.std()), float(output.abs().max())))
            )
    generator = torch.Generator().manual_seed(5)
    coarse = torch.randn(2, 3, 3, 3, generator=generator)
    smooth = functional.interpolate(coarse, size=network.input_shape[1:], mode="bicubic")
    noise = torch.randn(2, *network.input_shape, generator=generator)
    with torch.no_grad():
        module(torch.cat([smooth, noise]))
    assert max(largest for _, largest in seen) < 200
    assert min(spread for spread, _ in seen) > 1e-3


def test_rounding_does_not_grow_with_depth() -> None:
    module = build(zoo.network("cifar_plain56"))
    images = torch.randn((2, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found, exact = module(images), deepcopy(module).double()(images.double())
    assert float((found - exact).abs().max() / exact.abs().max()) < 5e-5
    assert float((exact[0] - exact[1]).abs().max() / exact.abs().max()) > 0.05  # it still tells images apart


def test_fractals_train_single_columns_too() -> None:
    module = build(zoo.network("fractalnet20", width=0.125))
    joins = [leaf for leaf in module.modules() if isinstance(leaf, JoinPaths)]
    module.train()
    torch.manual_seed(0)
    columns = set()
    for _ in range(12):
        module(torch.zeros(2, 3, 32, 32))
        assert len({join.column for join in joins}) == 1
        columns.add(joins[0].column)
    assert columns == {None, 0, 1, 2}
    inputs = [torch.full((1,), float(number)) for number in range(3)]
    join = JoinPaths(0.15, 3).train()
    for join.column, kept in ((0, 2.0), (2, 0.0)):
        assert float(join(*inputs)) == kept
    assert float(join(*inputs[1:])) == 1.5  # a join without that column is on no path to the output
