"""``config.json``, which timm writes beside weights: the preprocessing that they were trained with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from edgekit.errors import WeightsError
from edgekit.models.labels import imagenet_labels
from edgekit.models.network import Network
from edgekit.models.pretrained import preprocessing_for
from edgekit.options import Preprocessing

__all__ = ["FILE_NAME", "TimmConfig", "read_config"]

FILE_NAME = "config.json"

_FILTERS = ("bilinear", "bicubic")
_CENTER = "center"


@dataclass(frozen=True)
class TimmConfig:
    """A ``config.json``, empty where there is none; what it says is checked when it is asked for."""

    path: Path
    content: dict[str, Any]

    @property
    def architecture(self) -> str:
        """timm's name of the network, empty where it is not known."""
        return str(self.content.get("architecture", ""))

    @property
    def trained(self) -> dict[str, Any]:
        """How the network was trained; old files have it among the rest. Empty where it is not said."""
        nested = self.content.get("pretrained_cfg")
        if isinstance(nested, dict):
            return nested
        return self.content if "crop_pct" in self.content else {}

    def preprocessing(self, network: Network) -> Preprocessing:
        """Of images for ``network``, whose resolution may be another than that of the training.

        Raises :class:`WeightsError` for a file that does not say it.
        """
        resolution, channels = network.scale.resolution, network.scale.in_channels
        try:
            mean, std = (_per_channel(self.trained[name], channels) for name in ("mean", "std"))
            short_side = round(resolution / float(self.trained["crop_pct"]))
        except (KeyError, TypeError, ValueError, ZeroDivisionError) as exc:
            raise WeightsError(f"{self.path} does not describe a timm model: {exc!r}") from exc
        return preprocessing_for(resolution, channels, short_side, self._filter(), mean=mean, std=std)

    def warnings(self, network: Network) -> Iterator[str]:
        """What of the training the network or its preprocessing will not have."""
        name = self.architecture or self.path.parent.name
        resolution = network.scale.resolution
        trained = self.trained.get("input_size")
        if isinstance(trained, list) and trained and trained[-1] != resolution:
            yield (
                f"{name} was trained on {trained[-1]}x{trained[-1]} pixels, and {network.name} takes "
                f"{resolution}x{resolution}: --resolution {trained[-1]} is as it was trained"
            )
        found = self.trained.get("interpolation", self._filter())
        if found != self._filter():
            yield f"{name} resizes images by {found}, which a manifest cannot say: it says {self._filter()}"
        mode = self.trained.get("crop_mode", _CENTER)
        if mode != _CENTER:
            yield f"{name} crops images by {mode}, which a manifest cannot say: it says {_CENTER}"

    def labels(self, num_classes: int) -> tuple[str, ...] | None:
        """The file's own names of the classes, those of ImageNet if it was trained last on these, or None."""
        names = self.content.get("label_names", self.trained.get("label_names"))
        if isinstance(names, list) and len(names) == num_classes:
            return tuple(str(name).replace("\n", " ") for name in names)
        is_imagenet = str(self.trained.get("tag", "")).endswith("in1k")
        return imagenet_labels(num_classes) if is_imagenet else None

    def _filter(self) -> Literal["bilinear", "bicubic"]:
        found = self.trained.get("interpolation")
        return cast(Literal["bilinear", "bicubic"], found) if found in _FILTERS else "bicubic"


def _per_channel(values: list[float], channels: int) -> tuple[float, ...]:
    """A number for each channel; one serves all, and :func:`preprocessing_for` makes three one."""
    numbers = tuple(float(value) for value in values)
    if len(numbers) not in (1, 3):
        raise ValueError(f"{len(numbers)} channels, expected 1 or 3")
    return numbers if len(numbers) == 3 else numbers * channels


def read_config(weights: Path) -> TimmConfig:
    """The description beside a file of weights. Raises :class:`WeightsError` for one that is no JSON."""
    path = weights.with_name(FILE_NAME)
    if not path.is_file():
        return TimmConfig(path, {})
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise WeightsError(f"{path} cannot be read as JSON: {exc}") from exc
    return TimmConfig(path, content if isinstance(content, dict) else {})
