"""Where a network's weights come from: published ones, a file, or a seed; checked before they are used.

Weights bring their own padding, epsilon and preprocessing; the network is built to them.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.errors import MissingExtraError, ModelFileError, WeightsError
from edgekit.models.assumptions import Assumptions, assumptions_of
from edgekit.models.download import Progress, sha256_of
from edgekit.models.hub import SUFFIXES, is_address, locate_on_hub
from edgekit.models.keymaps import Layout, detect
from edgekit.models.labels import imagenet_labels
from edgekit.models.network import Network, Padding
from edgekit.models.pretrained import locate, preprocessing_for, pretrained
from edgekit.options import Preprocessing

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["WeightsInfo", "build"]

_LISTED = 4
_WRAPPERS = ("state_dict", "model")
_AGAIN = "it is damaged or of another kind: save or download it again"
_COUNTER = "num_batches_tracked"
# What torch's unpickler runs into when the bytes of a file are not those that were written.
_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


@dataclass(frozen=True)
class WeightsInfo:
    """What is known of a network's weights.

    ``source`` is ``imagenet``, ``random``, ``file:NAME`` or ``hf://OWNER/REPO@COMMIT/FILE``; ``layout`` the
    naming they followed and ``sha256`` the file's, both None for random ones; ``seed`` is theirs.
    ``warnings`` are for the user to see.
    """

    source: str
    preprocessing: Preprocessing
    padding: Padding
    labels: tuple[str, ...] | None = None
    layout: str | None = None
    sha256: str | None = None
    seed: int | None = None
    warnings: tuple[str, ...] = ()


def build(
    network: Network, source: str = "imagenet", seed: int = 0, progress: Progress | None = None
) -> tuple[nn.Module, WeightsInfo]:
    """The network as a torch module in evaluation mode with weights from ``source``.

    ``source`` is ``imagenet``, ``random`` (from ``seed``), the path of a ``.safetensors``, ``.pt``, ``.pth``
    or ``.bin`` file, or the address of one on the Hugging Face hub (:mod:`edgekit.models.hub`). The module
    pads as the weights expect, whatever ``network.convention`` is.

    Raises :class:`WeightsError` for weights that do not fit or do not exist,
    :class:`ModelFileError` for a file that cannot be read, :class:`MissingExtraError` for a package
    that is not installed, and what :func:`edgekit.models.hub.locate_on_hub` raises.
    """
    if source == "random":
        return _build_random(network, seed)
    if source == "imagenet":
        known = pretrained(network)
        preprocessing = known.preprocessing(network.scale.resolution, network.scale.in_channels)
        labels = imagenet_labels(network.scale.num_classes)
        assumed = Assumptions(known.convention, preprocessing, labels=labels)
        return _build_from_file(network, locate(known, progress), source, assumed)
    if is_address(source):
        found = locate_on_hub(source, progress)
        built, info = _build_from_file(network, found.path, found.address, None)
        return built, replace(info, warnings=found.warnings + info.warnings)
    return _build_from_file(network, Path(source), f"file:{Path(source).name}", None)


def _build_random(network: Network, seed: int) -> tuple[nn.Module, WeightsInfo]:
    from edgekit.models import module

    info = WeightsInfo(
        "random",
        preprocessing_for(network.scale.resolution, network.scale.in_channels),
        network.padding,
        seed=seed,
        warnings=(f"weights are random (seed {seed}): good for sizes and speed, not for any answer",),
    )
    return module.build(network, seed), info


def _build_from_file(
    network: Network, path: Path, source: str, known: Assumptions | None
) -> tuple[nn.Module, WeightsInfo]:
    from edgekit.models import module

    state = _read(path)
    layout = detect(state)
    assumed = known or assumptions_of(network, layout.name, path)
    network = network.with_convention(assumed.convention)
    built = module.assemble(network)
    built.load_state_dict(_fitted(built, network, layout, state, path), assign=True)
    info = WeightsInfo(
        source,
        assumed.preprocessing,
        network.padding,
        labels=assumed.labels,
        layout=layout.name,
        sha256=sha256_of(path),
        warnings=assumed.warnings,
    )
    return built.requires_grad_(True), info


def _read(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint file by their keys, on the CPU."""
    if path.suffix.lower() not in SUFFIXES:
        raise WeightsError(
            f"cannot read weights from {str(path)!r}",
            hint=f"expected imagenet, random, hf://OWNER/REPO, or a file ({', '.join(SUFFIXES)})",
        )
    if not path.is_file():
        raise ModelFileError(f"the weights file {path} does not exist", hint="check the path")
    read = _read_safetensors if path.suffix.lower() == ".safetensors" else _read_torch
    return _state_dict(read(path), path)


def _read_safetensors(path: Path) -> object:
    try:
        import safetensors
        from safetensors.torch import load_file
    except ImportError as exc:
        raise MissingExtraError("safetensors", "weights", f"reading {path.name}") from exc
    try:
        return load_file(path)
    except (safetensors.SafetensorError, OSError, ValueError) as exc:
        raise ModelFileError(f"{path} is not a safetensors file: {exc}", hint=_AGAIN) from exc


def _read_torch(path: Path) -> object:
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as exc:
        raise ModelFileError(
            f"{path} is damaged or holds more than weights: {str(exc).partition('. ')[0]}",
            hint="save the weights alone: torch.save(model.state_dict(), path)",
        ) from exc
    except _DAMAGE as exc:
        raise ModelFileError(f"{path} is not a file that torch.save wrote: {exc}", hint=_AGAIN) from exc


def _state_dict(loaded: object, path: Path) -> dict[str, torch.Tensor]:
    """The mapping of keys to tensors, out of the wrappings that training scripts put around it."""
    import torch

    while isinstance(loaded, Mapping):
        inner = next((loaded[key] for key in _WRAPPERS if isinstance(loaded.get(key), Mapping)), None)
        if inner is None:
            break
        loaded = inner
    tensors = loaded if isinstance(loaded, Mapping) else {}
    if not tensors or not all(isinstance(value, torch.Tensor) for value in tensors.values()):
        raise WeightsError(f"{path} holds no state dict, a mapping of names to tensors")
    return {str(key).removeprefix("module."): value for key, value in tensors.items()}


def _fitted(
    built: nn.Module, network: Network, layout: Layout, state: Mapping[str, torch.Tensor], path: Path
) -> dict[str, torch.Tensor]:
    """The file's tensors as float32 under our names; :class:`WeightsError` lists the first misfits."""
    import torch

    keys = _keys(built, layout.layers(network, frozenset(state)))
    expected = built.state_dict()
    state = {key: value for key, value in state.items() if not key.startswith(layout.ignored)}
    state |= {
        theirs: _shaped(state[theirs], expected[ours].shape)
        for ours, theirs in keys.items()
        if theirs in state
    }
    faults = list(_faults(expected, keys, state))
    if faults:
        more = f" and {len(faults) - _LISTED} more" if len(faults) > _LISTED else ""
        raise WeightsError(
            f"{path.name} does not fit {network.name}: {'; '.join(faults[:_LISTED])}{more}",
            hint=f"it follows the naming of {layout.name}; check the model's name and its scale",
        )
    return {
        ours: state[theirs].to(torch.float32) if expected[ours].is_floating_point() else torch.tensor(0)
        for ours, theirs in keys.items()
    }


def _shaped(tensor: torch.Tensor, shape: torch.Size) -> torch.Tensor:
    """A fully connected layer that is written as a convolution over all its input, or the other way."""
    is_the_same = tensor.shape[:1] == shape[:1] and tensor.numel() == shape.numel()
    return tensor.reshape(shape) if is_the_same and {tensor.ndim, len(shape)} == {2, 4} else tensor


def _keys(built: nn.Module, layers: Mapping[str, str]) -> dict[str, str]:
    """Our key → the file's; a layer that the layout does not know keeps its name and will be missing."""
    keys = {}
    for ours in built.state_dict():
        layer, _, tensor = ours.rpartition(".")
        keys[ours] = f"{layers.get(layer, layer)}.{tensor}"
    return keys


def _faults(
    expected: Mapping[str, torch.Tensor], keys: Mapping[str, str], state: Mapping[str, torch.Tensor]
) -> Iterator[str]:
    for ours, theirs in keys.items():
        if ours.endswith(_COUNTER):
            continue
        if theirs not in state:
            yield f"{theirs} is missing"
        elif state[theirs].shape != expected[ours].shape:
            yield f"{theirs} is {list(state[theirs].shape)}, expected {list(expected[ours].shape)}"
        elif not state[theirs].is_floating_point():
            yield f"{theirs} is {state[theirs].dtype}, expected floating point"
        elif not state[theirs].isfinite().all():
            yield f"{theirs} holds NaN or infinity"
    known = set(keys.values())
    yield from (f"{key} is unexpected" for key in state if key not in known and not key.endswith(_COUNTER))
