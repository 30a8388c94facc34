"""What the weights of a file assume: padding, epsilon, preprocessing.

A checkpoint does not say; the library that wrote it does, by its conventions. timm's differ from
model to model and are in the ``config.json`` that its hub stores beside the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit.models.network import TENSORFLOW, TORCH, Convention, Network
from edgekit.models.pretrained import LITE_MEAN, LITE_STD, PRETRAINED, preprocessing_for
from edgekit.models.timm_config import FILE_NAME, read_config
from edgekit.options import Preprocessing

__all__ = ["Assumptions", "assumptions_of"]

_LITE_MARGIN = 32


@dataclass(frozen=True)
class Assumptions:
    """``warnings`` name what is a guess, or not as in the training; ``labels`` are the classes' names."""

    convention: Convention
    preprocessing: Preprocessing
    warnings: tuple[str, ...] = ()
    labels: tuple[str, ...] | None = None


def assumptions_of(network: Network, layout: str, path: Path) -> Assumptions:
    """What the weights of ``path``, named as ``layout`` (:mod:`edgekit.models.keymaps`), assume."""
    library = layout.partition(" ")[0]
    # timm names many networks as torchvision does; its hub stores a description beside the weights.
    if library == "timm" or (library == "torchvision" and path.with_name(FILE_NAME).is_file()):
        return _timm(network, path, own_epsilon=layout != "timm")
    if library == "torchvision" and network.name in PRETRAINED:
        known = PRETRAINED[network.name]
        return Assumptions(known.convention, known.preprocessing(*_input(network)))
    if library.startswith("lukemelas"):
        return Assumptions(TENSORFLOW, _tensorflow_preprocessing(network))
    convention = _torch_convention(network) if library == "torchvision" else network.convention
    preprocessing = preprocessing_for(*_input(network))
    return Assumptions(convention, preprocessing, (_warning(path, preprocessing, convention),))


def _input(network: Network) -> tuple[int, int]:
    return network.scale.resolution, network.scale.in_channels


def _warning(path: Path, preprocessing: Preprocessing, convention: Convention) -> str:
    return (
        f"{path.name} does not say how it was trained: assumed are mean {_short(preprocessing.mean)} and "
        f"std {_short(preprocessing.std)}, and {convention.padding} padding; other ones lose accuracy"
    )


def _short(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.3f}" for value in values)


def _tensorflow_preprocessing(network: Network) -> Preprocessing:
    if network.family != "efficientnet_lite":
        return preprocessing_for(*_input(network))
    resolution, channels = _input(network)
    return preprocessing_for(resolution, channels, resolution + _LITE_MARGIN, mean=LITE_MEAN, std=LITE_STD)


def _torch_convention(network: Network) -> Convention:
    """torch's padding, and the network's own epsilon where that is how torch's libraries build it."""
    return network.convention if network.padding == "torch" else TORCH


def _timm(network: Network, path: Path, own_epsilon: bool) -> Assumptions:
    config = read_config(path)
    is_tensorflow = (config.architecture or path.stem).startswith("tf_")
    convention = _torch_convention(network) if own_epsilon else TORCH
    if is_tensorflow and not own_epsilon:
        convention = TENSORFLOW
    if config.trained:
        told = config.preprocessing(network)
        labels = config.labels(network.scale.num_classes)
        return Assumptions(convention, told, tuple(config.warnings(network)), labels)
    preprocessing = (
        _tensorflow_preprocessing(network) if is_tensorflow else preprocessing_for(*_input(network))
    )
    return Assumptions(convention, preprocessing, (_warning(path, preprocessing, convention),))
