"""Every layout names all tensors of its library's networks, and nothing else, with their shapes.

The digests were made from the libraries' own modules, torchvision 0.29.1 and timm 1.0.31:

    lines = sorted(f"{key} {list(value.shape)}" for key, value in module.state_dict().items()
                   if not key.endswith("num_batches_tracked"))
    len(lines), hashlib.sha256("\\n".join(lines).encode()).hexdigest()[:16]
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from edgekit.models import weights, zoo
from edgekit.models.keymaps import LAYOUTS, Layout, detect
from edgekit.models.module import assemble
from edgekit.models.network import Network
from small_networks import tiny

Shape = tuple[int, ...]


class Library(NamedTuple):
    """A network as a library has it: how many tensors, their digest, and keys that tell its places.

    ``convolutions``: fully connected layers that are convolutions there.
    """

    layout: str
    tensors: int
    digest: str
    keys: tuple[str, ...]
    convolutions: tuple[tuple[str, Shape], ...] = ()


def stages(pattern: str, repeats: tuple[int, ...], first: int = 0) -> tuple[str, ...]:
    """Keys of every block: ``pattern`` with the number of the stage and of the block in it."""
    return tuple(
        pattern.format(stage, block) for stage, many in enumerate(repeats, first) for block in range(many)
    )


def residual(*repeats: int) -> tuple[str, ...]:
    return stages("layer{}.{}.conv1.weight", repeats, first=1)


def preactivation(*repeats: int) -> tuple[str, ...]:
    return stages("stages.{}.blocks.{}.norm1.weight", repeats)


def dense(*repeats: int) -> tuple[str, ...]:
    return tuple(
        f"features.denseblock{block}.denselayer{layer}.norm1.weight"
        for block, many in enumerate(repeats, 1)
        for layer in range(1, many + 1)
    )


def shuffle(*repeats: int) -> tuple[str, ...]:
    return stages("stage{}.{}.branch2.0.weight", repeats, first=2)


def mnas(*repeats: int) -> tuple[str, ...]:
    return stages("layers.{}.{}.layers.0.weight", repeats, first=8)


def timm_stages(*repeats: int) -> tuple[str, ...]:
    return ("conv_stem.weight", *stages("blocks.{}.{}.conv", repeats))


V3_HEAD = ("conv_head.bias",)
RESNET = "torchvision resnet"
DENSENET = "torchvision densenet"
LIBRARIES = {
    ("alexnet", "torchvision"): Library(
        "torchvision alexnet", 16, "12a60b133d7b54dc", ("classifier.4.weight", "classifier.6.weight")
    ),
    ("vgg11", "torchvision"): Library("torchvision vgg", 22, "67a7eb563529a90c", ("classifier.6.weight",)),
    ("vgg13", "torchvision"): Library("torchvision vgg", 26, "06fdc111ee6d2ed8", ("classifier.6.weight",)),
    ("vgg16_bn", "torchvision"): Library("torchvision vgg", 84, "7f63603ea8fd0df9", ("classifier.6.weight",)),
    ("vgg19", "torchvision"): Library("torchvision vgg", 38, "2ae6c231664ee367", ("classifier.6.weight",)),
    ("vgg16", "timm"): Library(
        "timm vgg",
        32,
        "442fc78813acceee",
        ("pre_logits.fc1.weight",),
        (("pre_logits.fc1.weight", (4096, 512, 7, 7)), ("pre_logits.fc2.weight", (4096, 4096, 1, 1))),
    ),
    ("googlenet", "torchvision"): Library(
        "torchvision googlenet", 287, "fa3d44cfc0caf557", ("inception3a.branch1.conv.weight",)
    ),
    ("inception_v3", "torchvision"): Library(
        "torchvision inception_v3", 472, "060d097e94d4c79d", ("Mixed_5b.branch1x1.conv.weight",)
    ),
    ("inception_v4", "timm"): Library(
        "timm inception_v4", 747, "b4be38b56b97990d", ("features.0.conv.weight",)
    ),
    ("inception_resnet_v2", "timm"): Library(
        "timm inception_resnet_v2", 1102, "48a95a1ab9b834f8", ("conv2d_1a.conv.weight",)
    ),
    ("xception", "timm"): Library("timm xception", 236, "97ca0a4193827bc8", ("block1.rep.0.conv1.weight",)),
    ("resnet18", "torchvision"): Library(RESNET, 102, "fc669aac650ab66f", residual(2, 2, 2, 2)),
    ("resnet34", "torchvision"): Library(RESNET, 182, "efabbe4b2289112b", residual(3, 4, 6, 3)),
    ("resnet50", "torchvision"): Library(RESNET, 267, "584ee931ad382885", residual(3, 4, 6, 3)),
    ("resnet101", "torchvision"): Library(RESNET, 522, "a85edc6cd135a89d", residual(3, 4, 23, 3)),
    ("resnet152", "torchvision"): Library(RESNET, 777, "d9e4b3df983b2711", residual(3, 8, 36, 3)),
    ("wide_resnet50_2", "torchvision"): Library(RESNET, 267, "2eeb42447858de4f", residual(3, 4, 6, 3)),
    ("resnext50_32x4d", "torchvision"): Library(RESNET, 267, "379a66ba74321238", residual(3, 4, 6, 3)),
    ("se_resnet50", "timm"): Library(RESNET, 331, "babad1660707a9a7", residual(3, 4, 6, 3)),
    ("se_resnext50_32x4d", "timm"): Library(RESNET, 331, "9b38ea73c4c36e3d", residual(3, 4, 6, 3)),
    ("preact_resnet50", "timm"): Library(
        "timm resnetv2",
        251,
        "a3b7efe209b7f1dc",
        preactivation(3, 4, 6, 3),
        (("head.fc.weight", (1000, 2048, 1, 1)),),
    ),
    ("preact_resnet101", "timm"): Library(
        "timm resnetv2",
        506,
        "0a689ed2de1cfa9e",
        preactivation(3, 4, 23, 3),
        (("head.fc.weight", (1000, 2048, 1, 1)),),
    ),
    ("densenet121", "torchvision"): Library(DENSENET, 606, "c4a956e878d257a8", dense(6, 12, 24, 16)),
    ("densenet169", "torchvision"): Library(DENSENET, 846, "fd90e10f1d684dad", dense(6, 12, 32, 32)),
    ("densenet201", "torchvision"): Library(DENSENET, 1006, "0d8c78bf4f9952f3", dense(6, 12, 48, 32)),
    ("mnasnet0_5", "torchvision"): Library(
        "torchvision mnasnet", 262, "2f61b02c32a6b8c4", mnas(3, 3, 3, 2, 4, 1)
    ),
    ("mnasnet1_0", "torchvision"): Library(
        "torchvision mnasnet", 262, "a7a5b7a4fef0e1ff", mnas(3, 3, 3, 2, 4, 1)
    ),
    ("mnasnet1_0", "timm"): Library("timm", 262, "bd1b787aec388d92", timm_stages(1, 3, 3, 3, 2, 4, 1)),
    ("mnasnet_a1", "timm"): Library("timm", 279, "d0a3ef9f3a24777c", timm_stages(1, 2, 3, 4, 2, 3, 1)),
    ("shufflenet_v2_x0_5", "torchvision"): Library(
        "torchvision shufflenet_v2", 282, "5256355d14fec523", shuffle(4, 8, 4)
    ),
    ("shufflenet_v2_x1_0", "torchvision"): Library(
        "torchvision shufflenet_v2", 282, "6d95c44f61a9b376", shuffle(4, 8, 4)
    ),
    ("mobilenet_v3_large", "torchvision"): Library(
        "torchvision mobilenet_v3", 266, "01e1084ad1e703da", ("features.1.block.0.0.weight",)
    ),
    ("mobilenet_v3_small", "torchvision"): Library(
        "torchvision mobilenet_v3", 210, "cb6b8a086b0ea7e8", ("features.1.block.0.0.weight",)
    ),
    ("mobilenet_v3_large", "timm"): Library(
        "timm",
        266,
        "45e47990ea6b1d0c",
        timm_stages(1, 2, 3, 4, 2, 3, 1) + V3_HEAD,
        (("conv_head.weight", (1280, 960, 1, 1)),),
    ),
    ("mobilenet_v3_small", "timm"): Library(
        "timm",
        210,
        "f5e518da1a2d7d3a",
        timm_stages(1, 2, 3, 2, 3, 1) + V3_HEAD,
        (("conv_head.weight", (1024, 576, 1, 1)),),
    ),
}


def their_shapes(network: Network, layout: Layout, library: Library) -> dict[str, Shape]:
    layers = layout.layers(network, frozenset(library.keys))
    found = {}
    for ours, tensor in assemble(network).state_dict().items():
        layer, _, role = ours.rpartition(".")
        if role != "num_batches_tracked":
            found[f"{layers[layer]}.{role}"] = tuple(tensor.shape)
    return found | dict(library.convolutions)


@pytest.mark.parametrize(("name", "library"), LIBRARIES)
def test_names_and_shapes_are_the_librarys(name: str, library: str) -> None:
    known = LIBRARIES[name, library]
    layout = detect(known.keys)
    assert layout.name == known.layout
    shapes = their_shapes(zoo.network(name), layout, known)
    lines = sorted(f"{key} {list(shape)}" for key, shape in shapes.items())
    assert len(lines) == known.tensors
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16] == known.digest


def test_every_signature_is_tried_for() -> None:
    tested = {known.layout for known in LIBRARIES.values()}
    elsewhere = {"edgekit", "lukemelas/EfficientNet-PyTorch"}
    elsewhere |= {f"torchvision {name}" for name in ("mobilenet_v2", "efficientnet", "squeezenet")}
    assert {layout.name for layout in LAYOUTS} == tested | elsewhere


@pytest.mark.parametrize("name", ["googlenet", "mobilenet_v3_small", "preact_resnet50", "densenet121"])
def test_a_generated_checkpoint_gives_its_tensors(name: str, tmp_path: Path) -> None:
    """What is a convolution there and fully connected here is reshaped; auxiliary classifiers are left."""
    library = next(known for (network, _), known in LIBRARIES.items() if network == name)
    network = zoo.network(name)
    layout = detect(library.keys)
    generator = torch.Generator().manual_seed(3)
    state = {
        key: torch.rand(shape, generator=generator) + 0.1
        for key, shape in their_shapes(network, layout, library).items()
    }
    extra = {f"{prefix}conv.weight": torch.zeros(1) for prefix in layout.ignored}
    torch.save(state | extra, tmp_path / "theirs.pth")
    built, info = weights.build(network, str(tmp_path / "theirs.pth"))
    layers = layout.layers(network, frozenset(library.keys))
    for ours, tensor in built.state_dict().items():
        layer, _, role = ours.rpartition(".")
        if role != "num_batches_tracked":
            assert torch.equal(tensor.flatten(), state[f"{layers[layer]}.{role}"].flatten())
    assert info.layout == layout.name
    assert info.padding == "torch"
    norms = [leaf for leaf in built.modules() if isinstance(leaf, torch.nn.BatchNorm2d)]
    assert {norm.eps for norm in norms} == {zoo.entry(name).convention.bn_eps}


def test_densenets_of_before_2018_have_a_dot_more() -> None:
    network = zoo.network("densenet121")
    old = tuple(key.replace("norm1", "norm.1") for key in dense(6, 12, 24, 16))
    layers = detect(old).layers(network, frozenset(old))
    assert layers["blocks.3.conv1_bn"] == "features.denseblock1.denselayer4.norm.2"


@pytest.mark.parametrize("name", ["alexnet", "nin", "lenet5", "fractalnet20"])
def test_our_own_names_are_known_whatever_the_network(name: str, tmp_path: Path) -> None:
    network = tiny(name)
    built, _ = weights.build(network, "random", seed=1)
    torch.save(built.state_dict(), tmp_path / "own.pth")
    again, info = weights.build(network, str(tmp_path / "own.pth"))
    assert info.layout == "edgekit"
    assert all(torch.equal(again.state_dict()[key], value) for key, value in built.state_dict().items())
