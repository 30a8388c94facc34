"""Layouts of GoogLeNet and its descendants: branches, each a row of convolutions with their batch norms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edgekit.models.layers import Conv
from edgekit.models.layout import Keys, Layout, numbered
from edgekit.models.network import Network, PlacedBlock

__all__ = ["INCEPTIONS"]


def _branch_convs(block: PlacedBlock) -> list[str]:
    """Names of the convolutions inside the branches, in order: ``branch1.0``, ``branch1.1a``."""
    layers = (layer for layer in block.site.structure.layers if isinstance(layer, Conv))
    return [layer.out.name for layer in layers if layer.out.name.startswith("branch")]


def _with_norms(ours: Iterable[str], theirs: Iterable[str]) -> dict[str, str]:
    """A convolution is ``conv`` and its batch norm ``bn`` under one name there."""
    layers: dict[str, str] = {}
    for our, their in zip(ours, theirs, strict=True):
        layers |= {our: f"{their}.conv", f"{our}_bn": f"{their}.bn"}
    return layers


def _named(block: PlacedBlock, theirs: Iterable[str]) -> dict[str, str]:
    return _with_norms((f"{block.name}.{name}" for name in _branch_convs(block)), theirs)


def _convs(network: Network) -> list[str]:
    """The convolutions before the modules."""
    return [f"{block.name}.conv" for block in network.blocks() if block.name.startswith(("stem", "convs."))]


def _numbered_branches(block: PlacedBlock, first: int) -> Iterator[str]:
    """``branch1`` for a branch of one layer, ``branch2.0`` … in longer ones; pools count."""
    last: dict[str, int] = {}
    for layer in block.site.structure.layers:
        branch, _, step = layer.out.name.partition(".")
        if branch.startswith("branch") and step.isdigit():
            last[branch] = int(step)
    for name in _branch_convs(block):
        branch, _, step = name.partition(".")
        number = int(branch.removeprefix("branch")) + first
        yield f"branch{number}.{step}" if last[branch] else f"branch{number}"


def _googlenet(network: Network, keys: Keys) -> dict[str, str]:
    modules = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
    layers = _with_norms(_convs(network), ("conv1", "conv2", "conv3")) | {"classifier.linear": "fc"}
    for block, module in zip(numbered(network), modules, strict=True):
        layers |= _named(block, (f"inception{module}.{name}" for name in _numbered_branches(block, first=1)))
    return layers


def _row(name: str, count: int) -> tuple[str, ...]:
    return tuple(f"{name}_{number}" for number in range(1, count + 1))


_V3_STEM = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3")
_V3_A = ("branch1x1", *_row("branch5x5", 2), *_row("branch3x3dbl", 3), "branch_pool")
_V3_B = ("branch1x1", *_row("branch7x7", 3), *_row("branch7x7dbl", 5), "branch_pool")
_V3_C = (
    *("branch1x1", "branch3x3_1", "branch3x3_2a", "branch3x3_2b"),
    *("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3a", "branch3x3dbl_3b", "branch_pool"),
)
_V3_MODULES = {
    **dict.fromkeys(("5b", "5c", "5d"), _V3_A),
    "6a": ("branch3x3", *_row("branch3x3dbl", 3)),
    **dict.fromkeys(("6b", "6c", "6d", "6e"), _V3_B),
    "7a": (*_row("branch3x3", 2), *_row("branch7x7x3", 4)),
    **dict.fromkeys(("7b", "7c"), _V3_C),
}


def _inception_v3(network: Network, keys: Keys) -> dict[str, str]:
    layers = _with_norms(_convs(network), _V3_STEM) | {"classifier.linear": "fc"}
    for block, (module, names) in zip(numbered(network), _V3_MODULES.items(), strict=True):
        layers |= _named(block, (f"Mixed_{module}.{name}" for name in names))
    return layers


def _v4_names(block: PlacedBlock) -> list[str]:
    convs = _branch_convs(block)
    if len(convs) == 1:
        return ["conv"]
    forks = any(not name[-1].isdigit() for name in convs)
    if not forks:
        return list(_numbered_branches(block, first=0))
    # Branches that fork are no lists there, and their layers have numbers of their own.
    plain = {"branch0.0": "branch0", "branch3.1": "branch3.1"}
    return [plain.get(name, name.replace(".", "_")) for name in convs]


def _inception_v4(network: Network, keys: Keys) -> dict[str, str]:
    convs = _convs(network)
    layers = _with_norms(convs, (f"features.{index}" for index in range(len(convs))))
    for index, block in enumerate(numbered(network), start=len(convs)):
        layers |= _named(block, (f"features.{index}.{name}" for name in _v4_names(block)))
    return layers | {"classifier.linear": "last_linear"}


_R2_STEM = ("conv2d_1a", "conv2d_2a", "conv2d_2b", "conv2d_3b", "conv2d_4a")


def _r2_places(network: Network) -> Iterator[str]:
    """Where the modules are: reductions have names, residual ones are numbered in their repeats."""
    single = iter(("mixed_5b", "mixed_6a", "mixed_7a"))
    repeats = iter(("repeat", "repeat_1", "repeat_2"))
    runs = [run for run in network.runs if run.unit.name == "blocks."]
    for run in runs[:-1]:
        if any(layer.out.name == "up" for layer in run.site.structure.layers):
            repeat = next(repeats)
            yield from (f"{repeat}.{index}" for index in range(run.repeat))
        else:
            yield next(single)
    yield "block8"


def _inception_resnet_v2(network: Network, keys: Keys) -> dict[str, str]:
    layers = _with_norms([*_convs(network), "head.conv"], [*_R2_STEM, "conv2d_7b"])
    for block, place in zip(numbered(network), _r2_places(network), strict=True):
        layers |= _named(block, (f"{place}.{name}" for name in _numbered_branches(block, first=0)))
        layers[f"{block.name}.up"] = f"{place}.conv2d"
    return layers | {"classifier.linear": "classif"}


INCEPTIONS = (
    Layout("torchvision googlenet", "inception3a.branch1.conv.weight", _googlenet, ("aux1.", "aux2.")),
    Layout("torchvision inception_v3", "Mixed_5b.branch1x1.conv.weight", _inception_v3, ("AuxLogits.",)),
    Layout("timm inception_v4", "features.0.conv.weight", _inception_v4),
    Layout("timm inception_resnet_v2", "conv2d_1a.conv.weight", _inception_resnet_v2),
)
