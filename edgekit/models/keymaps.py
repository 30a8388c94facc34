"""How other libraries name the weights of our networks.

A layout is one library's naming of one kind of network. Its map is explicit: what each of our layers
is called there, block type by block type. Libraries that number blocks by stage are matched in order.
"""

from __future__ import annotations

from collections.abc import Iterable

from edgekit.errors import WeightsError
from edgekit.models.blocks import Fire, MaxPool
from edgekit.models.keymaps_classics import CLASSICS
from edgekit.models.keymaps_inception import INCEPTIONS
from edgekit.models.layout import Keys, Layout, has_layer, joined, numbered, places
from edgekit.models.network import Network, PlacedBlock

__all__ = ["LAYOUTS", "Layout", "detect"]


def detect(keys: Iterable[str]) -> Layout:
    """The layout that the keys of a checkpoint follow; :class:`WeightsError` names the known ones."""
    present = frozenset(keys)
    for layout in LAYOUTS:
        if layout.signature in present:
            return layout
    raise WeightsError(
        f"the weights follow no known naming; their first keys are {', '.join(sorted(present)[:3])}",
        hint=f"known are the namings of {', '.join(dict.fromkeys(layout.name for layout in LAYOUTS))}",
    )


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
    for index, block in enumerate(numbered(network)):
        layers |= joined(block.name, f"_blocks.{index}", _LUKEMELAS_BLOCK)
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


def _timm(network: Network, keys: Keys) -> dict[str, str]:
    layers = dict(_TIMM_ENDS)
    if (
        "conv_head.bias" in keys
    ):  # MobileNet v3: a hidden layer behind the pooling, the head in the last stage
        last = places(keys, r"blocks\.(\d+)\.(\d+)")[-1]
        layers |= {"head.conv": f"{last}.conv", "head.conv_bn": f"{last}.bn1"}
        layers["classifier.hidden"] = "conv_head"
    found = places(keys, r"blocks\.(\d+)\.(\d+)")
    for block, place in zip(numbered(network), found, strict=False):
        names = _TIMM_INVERTED if has_layer(block, "expand") else _TIMM_SEPARABLE
        layers |= joined(block.name, place, names)
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
    blocks = list(numbered(network))
    layers = _torchvision_ends(head=len(blocks) + 1)
    for index, block in enumerate(blocks, start=1):
        names = _V2_EXPANDING if has_layer(block, "expand") else _V2_FIRST
        layers |= joined(block.name, f"features.{index}.conv", names)
    return layers


def _mbconv(block: PlacedBlock) -> dict[str, str]:
    """Names inside ``block``: a list of what the block has, in the order in which it runs."""
    names: dict[str, str] = {}
    index = 0
    for layer in ("expand", "depthwise", "se", "project"):
        if layer == "se" and has_layer(block, "se.reduce"):
            names |= {"se.reduce": f"{index}.fc1", "se.expand": f"{index}.fc2"}
        elif has_layer(block, layer):
            names |= {layer: f"{index}.0", f"{layer}_bn": f"{index}.1"}
        else:
            continue
        index += 1
    return names


def _torchvision_efficientnet(network: Network, keys: Keys) -> dict[str, str]:
    found = places(keys, r"features\.(\d+)\.(\d+)\.block")
    stages = {place.split(".")[1] for place in found}
    layers = _torchvision_ends(head=len(stages) + 1)
    for block, place in zip(numbered(network), found, strict=False):
        layers |= joined(block.name, place, _mbconv(block))
    return layers


def _torchvision_v3(network: Network, keys: Keys) -> dict[str, str]:
    blocks = list(numbered(network))
    layers = _torchvision_ends(head=len(blocks) + 1)
    layers |= {"classifier.hidden": "classifier.0", "classifier.linear": "classifier.3"}
    for index, block in enumerate(blocks, start=1):
        layers |= joined(block.name, f"features.{index}.block", _mbconv(block))
    return layers


def _torchvision_squeezenet(network: Network, keys: Keys) -> dict[str, str]:
    layers = {"stem.conv": "features.0", "classifier.conv": "classifier.1"}
    # Stem and its ReLU are features 0 and 1; then pools and fire modules count alike.
    blocks = [run.unit.block for run in network.runs for _ in range(run.repeat)]
    body = [block for block in blocks if isinstance(block, Fire | MaxPool)]
    fires = [index for index, block in enumerate(body, start=2) if isinstance(block, Fire)]
    for placed, index in zip(numbered(network), fires, strict=True):
        for layer in ("squeeze", "expand1x1", "expand3x3"):
            layers[f"{placed.name}.{layer}"] = f"features.{index}.{layer}"
    return layers


LAYOUTS = (
    Layout("edgekit", "classifier.linear.weight", _own),
    Layout("edgekit", "classifier.conv.weight", _own),
    Layout("lukemelas/EfficientNet-PyTorch", "_conv_stem.weight", _lukemelas),
    Layout("timm", "conv_stem.weight", _timm),
    Layout("torchvision mobilenet_v2", "features.1.conv.0.0.weight", _torchvision_v2),
    Layout("torchvision efficientnet", "features.1.0.block.0.0.weight", _torchvision_efficientnet),
    Layout("torchvision mobilenet_v3", "features.1.block.0.0.weight", _torchvision_v3),
    Layout("torchvision squeezenet", "features.3.squeeze.weight", _torchvision_squeezenet),
    *CLASSICS,
    *INCEPTIONS,
)
"""In the order in which :func:`detect` tries their signatures."""
