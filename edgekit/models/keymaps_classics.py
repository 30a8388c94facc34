"""Layouts of AlexNet, VGG, the residual and the dense networks, MnasNet, ShuffleNet and Xception."""

from __future__ import annotations

from edgekit.models.layout import Keys, Layout, has_layer, joined, numbered, places
from edgekit.models.network import Network

__all__ = ["CLASSICS"]


def _features(network: Network) -> dict[str, str]:
    """Convolutions in a list with their batch norms, activations and pools, each of which counts one."""
    layers: dict[str, str] = {}
    index = 0
    for block in network.blocks():
        if has_layer(block, "conv"):
            norm = has_layer(block, "conv_bn")
            layers |= {
                f"{block.name}.conv": f"features.{index}",
                f"{block.name}.conv_bn": f"features.{index + 1}",
            }
            index += 3 if norm else 2
        elif block.name.startswith("pools."):
            index += 1
    return layers


def _alexnet(network: Network, keys: Keys) -> dict[str, str]:
    fully_connected = {"linear1": "1", "linear2": "4", "linear": "6"}
    return _features(network) | joined("classifier", "classifier", fully_connected)


def _vgg(network: Network, keys: Keys) -> dict[str, str]:
    fully_connected = {"linear1": "0", "linear2": "3", "linear": "6"}
    return _features(network) | joined("classifier", "classifier", fully_connected)


def _timm_vgg(network: Network, keys: Keys) -> dict[str, str]:
    """Fully connected layers are convolutions there."""
    fully_connected = {
        "classifier.linear1": "pre_logits.fc1",
        "classifier.linear2": "pre_logits.fc2",
        "classifier.linear": "head.fc",
    }
    return _features(network) | fully_connected


_RESIDUAL = {
    **{f"conv{number}": f"conv{number}" for number in (1, 2, 3)},
    **{f"conv{number}_bn": f"bn{number}" for number in (1, 2, 3)},
    "se.reduce": "se.fc1",
    "se.expand": "se.fc2",
    "shortcut": "downsample.0",
    "shortcut_bn": "downsample.1",
}


def _resnet(network: Network, keys: Keys) -> dict[str, str]:
    layers = {"stem.conv": "conv1", "stem.conv_bn": "bn1", "classifier.linear": "fc"}
    found = places(keys, r"layer(\d+)\.(\d+)")
    for block, place in zip(numbered(network), found, strict=False):
        layers |= joined(block.name, place, _RESIDUAL)
    return layers


_PREACTIVATION = {
    "norm": "norm1",
    "conv1": "conv1",
    "conv1_bn": "norm2",
    "conv2": "conv2",
    "conv2_bn": "norm3",
    "conv3": "conv3",
    "shortcut": "downsample.conv",
}


def _preact_resnet(network: Network, keys: Keys) -> dict[str, str]:
    layers = {"stem.conv": "stem.conv", "head.norm": "norm", "classifier.linear": "head.fc"}
    found = places(keys, r"stages\.(\d+)\.blocks\.(\d+)")
    for block, place in zip(numbered(network), found, strict=False):
        layers |= joined(block.name, place, _PREACTIVATION)
    return layers


def _densenet(network: Network, keys: Keys) -> dict[str, str]:
    """Checkpoints of before 2018 have a dot in ``norm.1`` and the like."""
    dot = "." if "features.denseblock1.denselayer1.norm.1.weight" in keys else ""
    inner = {
        "norm": f"norm{dot}1",
        "conv1": f"conv{dot}1",
        "conv1_bn": f"norm{dot}2",
        "conv2": f"conv{dot}2",
    }
    layers = {
        "stem.conv": "features.conv0",
        "stem.conv_bn": "features.norm0",
        "head.norm": "features.norm5",
        "classifier.linear": "classifier",
    }
    found = places(keys, r"features\.denseblock(\d+)\.denselayer(\d+)")
    for block, place in zip(numbered(network), found, strict=False):
        layers |= joined(block.name, place, inner)
    for index, block in enumerate(numbered(network, "transitions."), start=1):
        layers |= joined(block.name, f"features.transition{index}", {"norm": "norm", "conv": "conv"})
    return layers


_MNAS_FIRST = {"depthwise": "3", "depthwise_bn": "4", "project": "6", "project_bn": "7"}
_MNAS_INNER = {
    "expand": "layers.0",
    "expand_bn": "layers.1",
    "depthwise": "layers.3",
    "depthwise_bn": "layers.4",
    "project": "layers.6",
    "project_bn": "layers.7",
}


def _mnasnet(network: Network, keys: Keys) -> dict[str, str]:
    found = places(keys, r"layers\.(\d+)\.(\d+)\.layers")
    head = 1 + max(int(place.split(".")[1]) for place in found)
    layers = {
        "stem.conv": "layers.0",
        "stem.conv_bn": "layers.1",
        "head.conv": f"layers.{head}",
        "head.conv_bn": f"layers.{head + 1}",
        "classifier.linear": "classifier.1",
    }
    first, *others = numbered(network)
    layers |= joined(first.name, "layers", _MNAS_FIRST)
    for block, place in zip(others, found, strict=False):
        layers |= joined(block.name, place.removesuffix(".layers"), _MNAS_INNER)
    return layers


_SHUFFLE_UNIT = {
    "left.depthwise": "branch1.0",
    "left.depthwise_bn": "branch1.1",
    "left.project": "branch1.2",
    "left.project_bn": "branch1.3",
    "right.expand": "branch2.0",
    "right.expand_bn": "branch2.1",
    "right.depthwise": "branch2.3",
    "right.depthwise_bn": "branch2.4",
    "right.project": "branch2.5",
    "right.project_bn": "branch2.6",
}


def _shufflenet_v2(network: Network, keys: Keys) -> dict[str, str]:
    layers = {
        "stem.conv": "conv1.0",
        "stem.conv_bn": "conv1.1",
        "head.conv": "conv5.0",
        "head.conv_bn": "conv5.1",
        "classifier.linear": "fc",
    }
    found = places(keys, r"stage(\d+)\.(\d+)")
    for block, place in zip(numbered(network), found, strict=False):
        layers |= joined(block.name, place, _SHUFFLE_UNIT)
    return layers


def _xception(network: Network, keys: Keys) -> dict[str, str]:
    layers = {
        "stem.conv": "conv1",
        "stem.conv_bn": "bn1",
        "convs.0.conv": "conv2",
        "convs.0.conv_bn": "bn2",
        "classifier.linear": "fc",
    }
    for index, block in enumerate(numbered(network), start=1):
        layers |= joined(block.name, f"block{index}", {"shortcut": "skip", "shortcut_bn": "skipbn"})
        # A list of activation, separable convolution and batch norm; the first may lack its activation.
        offset = 1 if has_layer(block, "act1") else 0
        count = sum(has_layer(block, f"conv{number}.pointwise") for number in (1, 2, 3))
        for number in range(count):
            place = f"block{index}.rep"
            layers |= {
                f"{block.name}.conv{number + 1}.depthwise": f"{place}.{3 * number + offset}.conv1",
                f"{block.name}.conv{number + 1}.pointwise": f"{place}.{3 * number + offset}.pointwise",
                f"{block.name}.conv{number + 1}.pointwise_bn": f"{place}.{3 * number + offset + 1}",
            }
    for index, block in enumerate(numbered(network, "tail."), start=3):
        names = {"conv.depthwise": f"conv{index}.conv1", "conv.pointwise": f"conv{index}.pointwise"}
        layers |= {f"{block.name}.{ours}": theirs for ours, theirs in names.items()}
        layers[f"{block.name}.conv.pointwise_bn"] = f"bn{index}"
    return layers


CLASSICS = (
    Layout("torchvision resnet", "layer1.0.conv1.weight", _resnet),
    Layout("timm resnetv2", "stages.0.blocks.0.norm1.weight", _preact_resnet),
    Layout("torchvision densenet", "features.denseblock1.denselayer1.norm1.weight", _densenet),
    Layout("torchvision densenet", "features.denseblock1.denselayer1.norm.1.weight", _densenet),
    Layout("torchvision mnasnet", "layers.8.0.layers.0.weight", _mnasnet),
    Layout("torchvision shufflenet_v2", "stage2.0.branch2.0.weight", _shufflenet_v2),
    Layout("timm xception", "block1.rep.0.conv1.weight", _xception),
    Layout("timm vgg", "pre_logits.fc1.weight", _timm_vgg),
    Layout("torchvision alexnet", "classifier.4.weight", _alexnet),
    Layout("torchvision vgg", "classifier.6.weight", _vgg),
)
