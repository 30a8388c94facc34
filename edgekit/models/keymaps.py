"""How other libraries name the weights of our networks.

A layout is one library's naming of one kind of network. Its map is explicit: what each of our layers
is called there, block type by block type. Libraries that number blocks by stage are matched in order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from edgekit.errors import WeightsError
from edgekit.models.blocks import Block, Fire, InvertedResidual, MaxPool
from edgekit.models.network import Network

__all__ = ["LAYOUTS", "Layout", "detect"]

Keys = frozenset[str]


@dataclass(frozen=True)
class Layout:
    """One naming. ``signature`` is a key that only its checkpoints have; ``layers`` gives, for a
    network and the keys of a checkpoint, our layer → its layer."""

    name: str
    signature: str
    layers: Callable[[Network, Keys], dict[str, str]]


def detect(keys: Iterable[str]) -> Layout:
    """The layout that the keys of a checkpoint follow; :class:`WeightsError` names the known ones."""
    present = frozenset(keys)
    for layout in LAYOUTS:
        if layout.signature in present:
            return layout
    raise WeightsError(
        f"the weights follow no known naming; their first keys are {', '.join(sorted(present)[:3])}",
        hint=f"known are the namings of {', '.join(layout.name for layout in LAYOUTS)}",
    )


def _numbered(network: Network) -> Iterator[tuple[str, Block]]:
    """The blocks between stem and head, as ``("blocks.3", block)``."""
    blocks = (run.unit.block for run in network.runs for _ in range(run.repeat))
    for placed, block in zip(network.blocks(), blocks, strict=True):
        if placed.name.startswith("blocks."):
            yield placed.name, block


def _joined(ours: str, theirs: str, names: Mapping[str, str]) -> dict[str, str]:
    return {f"{ours}.{layer}": f"{theirs}.{other}" for layer, other in names.items()}


def _places(keys: Keys, pattern: str) -> list[str]:
    """Prefixes that match ``pattern``, whose groups are the numbers of stage and block, in their order."""
    found = {match[0]: tuple(map(int, match.groups())) for key in keys if (match := re.match(pattern, key))}
    return sorted(found, key=lambda prefix: found[prefix])


def _own(network: Network, keys: Keys) -> dict[str, str]:
    layers = {key.rpartition(".")[0] for key in keys}
    return {layer: layer for layer in layers}


_LUKEMELAS_ENDS = {
    "stem.conv": "_conv_stem",
    "stem.conv_bn": "_bn0",
    "head.conv": "_conv_head",
    "head.conv_bn": "_bn1",
    "classifier.linear": "_fc",
}
_LUKEMELAS_BLOCK = {
    "expand": "_expand_conv",
    "expand_bn": "_bn0",
    "depthwise": "_depthwise_conv",
    "depthwise_bn": "_bn1",
    "se.reduce": "_se_reduce",
    "se.expand": "_se_expand",
    "project": "_project_conv",
    "project_bn": "_bn2",
}


def _lukemelas(network: Network, keys: Keys) -> dict[str, str]:
    layers = dict(_LUKEMELAS_ENDS)
    for index, (name, _) in enumerate(_numbered(network)):
        layers |= _joined(name, f"_blocks.{index}", _LUKEMELAS_BLOCK)
    return layers


_TIMM_ENDS = {
    "stem.conv": "conv_stem",
    "stem.conv_bn": "bn1",
    "head.conv": "conv_head",
    "head.conv_bn": "bn2",
    "classifier.linear": "classifier",
}
_TIMM_SEPARABLE = {
    "depthwise": "conv_dw",
    "depthwise_bn": "bn1",
    "se.reduce": "se.conv_reduce",
    "se.expand": "se.conv_expand",
    "pointwise": "conv_pw",
    "pointwise_bn": "bn2",
    "project": "conv_pw",
    "project_bn": "bn2",
}
_TIMM_INVERTED = {
    "expand": "conv_pw",
    "expand_bn": "bn1",
    "depthwise": "conv_dw",
    "depthwise_bn": "bn2",
    "se.reduce": "se.conv_reduce",
    "se.expand": "se.conv_expand",
    "project": "conv_pwl",
    "project_bn": "bn3",
}


def _expands(block: Block) -> bool:
    return isinstance(block, InvertedResidual) and block.expand != 1


def _timm(network: Network, keys: Keys) -> dict[str, str]:
    layers = dict(_TIMM_ENDS)
    places = _places(keys, r"blocks\.(\d+)\.(\d+)")
    for (name, block), place in zip(_numbered(network), places, strict=False):
        layers |= _joined(name, place, _TIMM_INVERTED if _expands(block) else _TIMM_SEPARABLE)
    return layers


_V2_FIRST = {"depthwise": "0.0", "depthwise_bn": "0.1", "project": "1", "project_bn": "2"}
_V2_EXPANDING = {
    "expand": "0.0",
    "expand_bn": "0.1",
    "depthwise": "1.0",
    "depthwise_bn": "1.1",
    "project": "2",
    "project_bn": "3",
}


def _torchvision_ends(head: int) -> dict[str, str]:
    return {
        "stem.conv": "features.0.0",
        "stem.conv_bn": "features.0.1",
        "head.conv": f"features.{head}.0",
        "head.conv_bn": f"features.{head}.1",
        "classifier.linear": "classifier.1",
    }


def _torchvision_v2(network: Network, keys: Keys) -> dict[str, str]:
    blocks = list(_numbered(network))
    layers = _torchvision_ends(head=len(blocks) + 1)
    for index, (name, block) in enumerate(blocks, start=1):
        names = _V2_EXPANDING if _expands(block) else _V2_FIRST
        layers |= _joined(name, f"features.{index}.conv", names)
    return layers


_MBCONV_FIRST = {
    "depthwise": "0.0",
    "depthwise_bn": "0.1",
    "se.reduce": "1.fc1",
    "se.expand": "1.fc2",
    "project": "2.0",
    "project_bn": "2.1",
}
_MBCONV_EXPANDING = {
    "expand": "0.0",
    "expand_bn": "0.1",
    "depthwise": "1.0",
    "depthwise_bn": "1.1",
    "se.reduce": "2.fc1",
    "se.expand": "2.fc2",
    "project": "3.0",
    "project_bn": "3.1",
}


def _torchvision_efficientnet(network: Network, keys: Keys) -> dict[str, str]:
    places = _places(keys, r"features\.(\d+)\.(\d+)\.block")
    stages = {place.split(".")[1] for place in places}
    layers = _torchvision_ends(head=len(stages) + 1)
    for (name, block), place in zip(_numbered(network), places, strict=False):
        layers |= _joined(name, place, _MBCONV_EXPANDING if _expands(block) else _MBCONV_FIRST)
    return layers


def _torchvision_squeezenet(network: Network, keys: Keys) -> dict[str, str]:
    layers = {"stem.conv": "features.0", "classifier.conv": "classifier.1"}
    # Stem and its ReLU are features 0 and 1; then pools and fire modules count alike.
    blocks = [run.unit.block for run in network.runs for _ in range(run.repeat)]
    body = [block for block in blocks if isinstance(block, Fire | MaxPool)]
    fires = [index for index, block in enumerate(body, start=2) if isinstance(block, Fire)]
    for (name, _), index in zip(_numbered(network), fires, strict=True):
        for layer in ("squeeze", "expand1x1", "expand3x3"):
            layers[f"{name}.{layer}"] = f"features.{index}.{layer}"
    return layers


LAYOUTS = (
    Layout("edgekit", "stem.conv.weight", _own),
    Layout("lukemelas/EfficientNet-PyTorch", "_conv_stem.weight", _lukemelas),
    Layout("timm", "conv_stem.weight", _timm),
    Layout("torchvision mobilenet_v2", "features.1.conv.0.0.weight", _torchvision_v2),
    Layout("torchvision efficientnet", "features.1.0.block.0.0.weight", _torchvision_efficientnet),
    Layout("torchvision squeezenet", "features.3.squeeze.weight", _torchvision_squeezenet),
)
