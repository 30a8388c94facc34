"""Checkpoints of other libraries give the answers of those libraries.

The networks below are nested as torchvision, timm and EfficientNet-PyTorch nest theirs, so that their
state dicts have those libraries' keys; their forward passes are written out here, apart from ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from edgekit.models import weights, zoo
from edgekit.models.network import TENSORFLOW

CLASSES = 6
RESOLUTION = 48

V2_ROWS = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 32, 3, 2, 3),
    (6, 64, 4, 2, 3),
    (6, 96, 3, 1, 3),
    (6, 160, 3, 2, 3),
    (6, 320, 1, 1, 3),
)
B0_ROWS = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
"""(expansion, channels, repeats, stride, kernel)"""
V1_STAGES = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2))
"""(channels, repeats, stride)"""


class SameConv(nn.Conv2d):
    """A convolution with TensorFlow's SAME padding."""

    def forward(self, input: Tensor) -> Tensor:
        size, kernel, stride = input.shape[-1], self.kernel_size[0], self.stride[0]
        total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
        ends = (total // 2, total - total // 2)
        return super().forward(functional.pad(input, ends + ends))


def conv(cin: int, cout: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False)


def same_conv(cin: int, cout: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return SameConv(cin, cout, kernel, stride, groups=groups, bias=False)


Act = Callable[[], nn.Module]


def conv_norm(cin: int, cout: int, kernel: int, stride: int, groups: int, act: Act) -> nn.Sequential:
    return nn.Sequential(conv(cin, cout, kernel, stride, groups), nn.BatchNorm2d(cout), act())


class Squeeze(nn.Module):
    """Squeeze-and-excitation with the layer names of one library."""

    def __init__(self, channels: int, squeezed: int, reduce: str, expand: str) -> None:
        super().__init__()
        self.names = (reduce, expand)
        self.add_module(reduce, nn.Conv2d(channels, squeezed, 1))
        self.add_module(expand, nn.Conv2d(squeezed, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        reduce, expand = (self.get_submodule(name) for name in self.names)
        gate: Tensor = expand(functional.silu(reduce(x.mean((2, 3), keepdim=True))))
        return x * gate.sigmoid()


class TorchvisionBlock(nn.Module):
    """A Sequential under the attribute ``conv`` (MobileNetV2) or ``block`` (EfficientNet)."""

    def __init__(self, attribute: str, layers: list[nn.Module], residual: bool) -> None:
        super().__init__()
        self.add_module(attribute, nn.Sequential(*layers))
        self.attribute, self.residual = attribute, residual

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.get_submodule(self.attribute)(x)
        return x + y if self.residual else y


class Features(nn.Module):
    """torchvision's ``features`` and ``classifier``."""

    def __init__(self, features: list[nn.Module], head: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(head, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x).mean((2, 3)))
        return logits


def blocks(rows: tuple[tuple[int, ...], ...], channels: int) -> Iterator[tuple[int, int, int, int, int, int]]:
    """(stage, input channels, expansion, output channels, stride, kernel) of every block."""
    for stage, (expand, out, repeats, stride, kernel) in enumerate(rows):
        for index in range(repeats):
            yield stage, channels, expand, out, stride if index == 0 else 1, kernel
            channels = out


def torchvision_mobilenet_v2() -> nn.Module:
    features: list[nn.Module] = [conv_norm(3, 32, 3, 2, 1, nn.ReLU6)]
    for _, cin, expand, out, stride, kernel in blocks(V2_ROWS, 32):
        hidden = cin * expand
        layers: list[nn.Module] = [conv_norm(cin, hidden, 1, 1, 1, nn.ReLU6)] if expand > 1 else []
        layers += [conv_norm(hidden, hidden, kernel, stride, hidden, nn.ReLU6)]
        layers += [conv(hidden, out), nn.BatchNorm2d(out)]
        features.append(TorchvisionBlock("conv", layers, residual=stride == 1 and cin == out))
    return Features([*features, conv_norm(320, 1280, 1, 1, 1, nn.ReLU6)], 1280)


def torchvision_efficientnet_b0() -> nn.Module:
    stages: list[list[nn.Module]] = [[] for _ in B0_ROWS]
    for stage, cin, expand, out, stride, kernel in blocks(B0_ROWS, 32):
        hidden = cin * expand
        layers: list[nn.Module] = [conv_norm(cin, hidden, 1, 1, 1, nn.SiLU)] if expand > 1 else []
        layers += [conv_norm(hidden, hidden, kernel, stride, hidden, nn.SiLU)]
        layers += [Squeeze(hidden, max(1, cin // 4), "fc1", "fc2")]
        layers += [conv_norm(hidden, out, 1, 1, 1, nn.Identity)]
        residual = stride == 1 and cin == out
        stages[stage].append(TorchvisionBlock("block", layers, residual))
    body = [nn.Sequential(*stage) for stage in stages]
    stem, head = conv_norm(3, 32, 3, 2, 1, nn.SiLU), conv_norm(320, 1280, 1, 1, 1, nn.SiLU)
    return Features([stem, *body, head], 1280)


class TorchvisionFire(nn.Module):
    def __init__(self, cin: int, squeeze: int, expand: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(cin, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x).relu()
        return torch.cat([self.expand1x1(x).relu(), self.expand3x3(x).relu()], 1)


class TorchvisionSqueezeNet(nn.Module):
    def __init__(self, features: list[nn.Module]) -> None:
        super().__init__()
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(0.5), nn.Conv2d(512, CLASSES, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x)).mean((2, 3))
        return logits


def pool() -> nn.Module:
    return nn.MaxPool2d(3, 2, ceil_mode=True)


def torchvision_squeezenet1_0() -> nn.Module:
    fires = [TorchvisionFire(*row) for row in ((96, 16, 64), (128, 16, 64), (128, 32, 128))]
    more = [TorchvisionFire(*row) for row in ((256, 32, 128), (256, 48, 192), (384, 48, 192), (384, 64, 256))]
    stem = [nn.Conv2d(3, 96, 7, 2), nn.ReLU(), pool()]
    return TorchvisionSqueezeNet([*stem, *fires, pool(), *more, pool(), TorchvisionFire(512, 64, 256)])


def torchvision_squeezenet1_1() -> nn.Module:
    stem = [nn.Conv2d(3, 64, 3, 2), nn.ReLU(), pool()]
    first = [TorchvisionFire(64, 16, 64), TorchvisionFire(128, 16, 64)]
    second = [TorchvisionFire(128, 32, 128), TorchvisionFire(256, 32, 128)]
    last = [TorchvisionFire(*row) for row in ((256, 48, 192), (384, 48, 192), (384, 64, 256), (512, 64, 256))]
    return TorchvisionSqueezeNet([*stem, *first, pool(), *second, pool(), *last])


class TimmBlock(nn.Module):
    """timm's InvertedResidual, or, without expansion, its DepthwiseSeparableConv."""

    def __init__(
        self,
        cin: int,
        hidden: int,
        out: int,
        kernel: int,
        stride: int,
        make: Callable[..., nn.Conv2d],
        act: Act,
        eps: float,
        se: bool,
        act_at_end: bool = False,
    ) -> None:
        super().__init__()
        names = [("conv_dw", "bn1"), ("conv_pw", "bn2")]
        if hidden != cin:
            names = [("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")]
            self.add_module("conv_pw", make(cin, hidden))
            self.add_module("bn1", nn.BatchNorm2d(hidden, eps))
        (conv_dw, bn_dw), (conv_end, bn_end) = names[-2:]
        self.add_module(conv_dw, make(hidden, hidden, kernel, stride, hidden))
        self.add_module(bn_dw, nn.BatchNorm2d(hidden, eps))
        if se:
            self.se = Squeeze(hidden, max(1, int(cin * 0.25)), "conv_reduce", "conv_expand")
        self.add_module(conv_end, make(hidden, out))
        self.add_module(bn_end, nn.BatchNorm2d(out, eps))
        self.names, self.act, self.act_at_end = names, act(), act_at_end
        self.residual = stride == 1 and cin == out and not act_at_end

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for conv_name, bn_name in self.names[:-1]:
            y = self.act(self.get_submodule(bn_name)(self.get_submodule(conv_name)(y)))
        y = self.se(y) if hasattr(self, "se") else y
        conv_end, bn_end = self.names[-1]
        z: Tensor = self.get_submodule(bn_end)(self.get_submodule(conv_end)(y))
        z = self.act(z) if self.act_at_end else z
        return x + z if self.residual else z


class Timm(nn.Module):
    """timm's EfficientNet class, with or without ``conv_head``."""

    def __init__(
        self,
        stages: list[list[nn.Module]],
        features: int,
        head: int | None,
        make: Callable[..., nn.Conv2d],
        act: Act,
        eps: float,
    ) -> None:
        super().__init__()
        self.conv_stem, self.bn1 = make(3, 32, 3, 2), nn.BatchNorm2d(32, eps)
        self.blocks = nn.Sequential(*(nn.Sequential(*stage) for stage in stages))
        if head:
            self.conv_head, self.bn2 = make(features, head), nn.BatchNorm2d(head, eps)
        self.classifier = nn.Linear(head or features, CLASSES)
        self.act = act()

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.act(self.bn1(self.conv_stem(x))))
        if hasattr(self, "conv_head"):
            x = self.act(self.bn2(self.conv_head(x)))
        logits: Tensor = self.classifier(x.mean((2, 3)))
        return logits


def timm_inverted(
    rows: tuple[tuple[int, ...], ...],
    act: Act,
    *,
    se: bool,
    make: Callable[..., nn.Conv2d] = conv,
    eps: float = 1e-5,
) -> nn.Module:
    stages: list[list[nn.Module]] = [[] for _ in rows]
    for stage, cin, expand, out, stride, kernel in blocks(rows, 32):
        stages[stage].append(TimmBlock(cin, cin * expand, out, kernel, stride, make, act, eps, se))
    return Timm(stages, 320, 1280, make, act, eps)


def timm_mobilenetv1_100() -> nn.Module:
    stages: list[list[nn.Module]] = []
    channels = 32
    for out, repeats, stride in V1_STAGES:
        stages.append([])
        for index in range(repeats):
            step = stride if index == 0 else 1
            stages[-1].append(
                TimmBlock(channels, channels, out, 3, step, conv, nn.ReLU6, 1e-5, se=False, act_at_end=True)
            )
            channels = out
    return Timm(stages, 1024, None, conv, nn.ReLU6, 1e-5)


class LukemelasBlock(nn.Module):
    def __init__(self, cin: int, expand: int, out: int, kernel: int, stride: int) -> None:
        super().__init__()
        hidden = cin * expand
        self.expands, self.residual = expand > 1, stride == 1 and cin == out
        if self.expands:
            self._expand_conv, self._bn0 = same_conv(cin, hidden), nn.BatchNorm2d(hidden, 1e-3)
        self._depthwise_conv = same_conv(hidden, hidden, kernel, stride, hidden)
        self._bn1 = nn.BatchNorm2d(hidden, 1e-3)
        squeezed = max(1, int(cin * 0.25))
        self._se_reduce = nn.Conv2d(hidden, squeezed, 1)
        self._se_expand = nn.Conv2d(squeezed, hidden, 1)
        self._project_conv, self._bn2 = same_conv(hidden, out), nn.BatchNorm2d(out, 1e-3)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.silu(self._bn0(self._expand_conv(x))) if self.expands else x
        y = functional.silu(self._bn1(self._depthwise_conv(y)))
        gate: Tensor = self._se_expand(functional.silu(self._se_reduce(y.mean((2, 3), keepdim=True))))
        z: Tensor = self._bn2(self._project_conv(y * gate.sigmoid()))
        return x + z if self.residual else z


class Lukemelas(nn.Module):
    """EfficientNet-PyTorch's B0."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = same_conv(3, 32, 3, 2), nn.BatchNorm2d(32, 1e-3)
        self._blocks = nn.ModuleList(
            LukemelasBlock(cin, expand, out, kernel, stride)
            for _, cin, expand, out, stride, kernel in blocks(B0_ROWS, 32)
        )
        self._conv_head, self._bn1 = same_conv(320, 1280), nn.BatchNorm2d(1280, 1e-3)
        self._fc = nn.Linear(1280, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.silu(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        logits: Tensor = self._fc(functional.silu(self._bn1(self._conv_head(x))).mean((2, 3)))
        return logits


# Zoo name, file name, and the library's network. timm marks TensorFlow's padding by its models' names.
CASES: dict[str, tuple[str, str, Callable[[], nn.Module]]] = {
    "torchvision mobilenet_v2": ("mobilenet_v2", "v2.pth", torchvision_mobilenet_v2),
    "torchvision efficientnet_b0": ("efficientnet_b0", "b0.pth", torchvision_efficientnet_b0),
    "torchvision squeezenet1_0": ("squeezenet1_0", "s.pt", torchvision_squeezenet1_0),
    "torchvision squeezenet1_1": ("squeezenet1_1", "s.safetensors", torchvision_squeezenet1_1),
    "timm mobilenetv1_100": ("mobilenet_v1", "mobilenetv1_100.safetensors", timm_mobilenetv1_100),
    "timm mobilenetv2_100": (
        "mobilenet_v2",
        "mobilenetv2_100.pth",
        lambda: timm_inverted(V2_ROWS, nn.ReLU6, se=False),
    ),
    "timm efficientnet_b0": (
        "efficientnet_b0",
        "efficientnet_b0.safetensors",
        lambda: timm_inverted(B0_ROWS, nn.SiLU, se=True),
    ),
    "timm tf_efficientnet_lite0": (
        "efficientnet_lite0",
        "tf_efficientnet_lite0-0aa007d2.pth",
        lambda: timm_inverted(B0_ROWS, nn.ReLU6, se=False, make=same_conv, eps=1e-3),
    ),
    "timm efficientnet_lite0": (
        "efficientnet_lite0",
        "efficientnet_lite0.pth",
        lambda: timm_inverted(B0_ROWS, nn.ReLU6, se=False),
    ),
    "lukemelas efficientnet-b0": ("efficientnet_b0", "efficientnet-b0.pth", Lukemelas),
}


def randomized(module: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(1)
    for leaf in module.modules():
        if isinstance(leaf, nn.BatchNorm2d):
            for tensor in (leaf.weight, leaf.running_var):
                assert tensor is not None
                tensor.data.uniform_(0.5, 1.5, generator=generator)
            for tensor in (leaf.bias, leaf.running_mean):
                assert tensor is not None
                tensor.data.normal_(0, 0.2, generator=generator)
        elif isinstance(leaf, nn.Conv2d | nn.Linear):
            leaf.weight.data.normal_(0, (2 / leaf.weight[0].numel()) ** 0.5, generator=generator)
    return module.eval()


def save(module: nn.Module, path: Path) -> Path:
    state = module.state_dict()
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("case", CASES)
def test_a_checkpoint_gives_the_librarys_answer(case: str, tmp_path: Path) -> None:
    name, file, make = CASES[case]
    theirs = randomized(make())
    network = zoo.network(name, resolution=RESOLUTION, num_classes=CLASSES)
    ours, info = weights.build(network, str(save(theirs, tmp_path / file)))
    images = torch.randn(2, 3, RESOLUTION, RESOLUTION, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-4)
    assert info.source == f"file:{file}"
    assert info.layout is not None
    assert info.layout.startswith(case.split()[0])
    assert info.padding == ("same" if "tf_" in case or "lukemelas" in case else "torch")


def test_our_own_checkpoints_come_back_as_they_were(tmp_path: Path) -> None:
    network = zoo.network("efficientnet_lite0", width=0.5, resolution=RESOLUTION, num_classes=CLASSES)
    assert network.convention == TENSORFLOW
    built, _ = weights.build(network, "random", seed=4)
    again, info = weights.build(network, str(save(built, tmp_path / "own.safetensors")))
    assert info.layout == "edgekit"
    assert info.padding == "same"
    found, expected = again.state_dict(), built.state_dict()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


@pytest.mark.parametrize(
    ("make", "entries", "key", "shape"),
    [
        (torchvision_mobilenet_v2, 314, "features.17.conv.1.0.weight", (960, 1, 3, 3)),
        (torchvision_efficientnet_b0, 360, "features.1.0.block.1.fc1.weight", (8, 32, 1, 1)),
        (torchvision_squeezenet1_0, 52, "features.12.expand3x3.weight", (256, 64, 3, 3)),
        (CASES["timm efficientnet_b0"][2], 360, "blocks.6.0.conv_pwl.weight", (320, 1152, 1, 1)),
    ],
)
def test_the_references_have_the_libraries_keys(
    make: Callable[[], nn.Module], entries: int, key: str, shape: tuple[int, ...]
) -> None:
    """Counts and shapes as the libraries' published checkpoints have them."""
    state = make().state_dict()
    assert len(state) == entries
    assert tuple(state[key].shape) == shape
