"""What to do about a layer that loses more than its share.

Errors of layers add up about as noise does: the energies of what each adds, relative to its output. So a
layer deserves attention when its own error, of weights and activations together, is more than four times
the other layers' mean; one that only hands on the errors of others does not. Nor does any where all such
layers together make less than a fifth of the errors: without them the network would gain less than a
decibel. What helps depends on where a layer's error comes from:

- numbers beyond the calibrated range make most of it: calibration has not seen them, *more images*;
- all channels share one weight scale: *a scale for each channel*;
- a few channels make most of it, or are far larger than the others, so that they set the step of all:
  *equalize* them with their neighbours' weights;
- otherwise eight bits are too few for this layer: *keep it in float*.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["Evidence", "Suggestion", "suggest"]

Remedy = Literal["more_images", "per_channel", "equalize", "keep_float"]

_CONSPICUOUS = 4.0  # times the mean noise of the other layers
_WORTH = 0.2  # of all noise: a decibel
_HARMLESS_DB = 40.0  # a layer this exact is not worth a change, whatever the others are
_MOST = 0.5
_FEW = 0.1
_UNEVEN = 8.0  # the largest channel's peak as a multiple of the median one's: three bits lost to the others


@dataclass(frozen=True)
class Evidence:
    """What is known of one layer. Noises are shares of its output's energy; None where not measured.

    ``cut_share`` is how much of the activation noise lies beyond the range, ``cut_values`` the share of
    numbers; ``noise_of_few`` the part of its own noise in the worst tenth of the channels; ``unevenness``
    its largest channel's peak as a multiple of the median channel's.
    """

    name: str
    weight_noise: float | None
    activation_noise: float | None
    is_per_channel: bool = True
    cut_share: float = 0.0
    cut_values: float = 0.0
    noise_of_few: float = 0.0
    unevenness: float = 1.0

    @property
    def own_noise(self) -> float:
        """Weights' and activations' together."""
        return (self.weight_noise or 0.0) + (self.activation_noise or 0.0)


@dataclass(frozen=True)
class Suggestion:
    """``remedy`` for programs, ``text`` for people."""

    remedy: Remedy
    text: str


def suggest(layers: Sequence[Evidence]) -> list[Suggestion | None]:
    """One suggestion, or none, for each layer."""
    conspicuous = _conspicuous([layer.own_noise for layer in layers])
    return [_for(layer) if index in conspicuous else None for index, layer in enumerate(layers)]


def _conspicuous(noises: Sequence[float]) -> list[int]:
    """Which layers lose far more than the others, if it is worth a change."""
    total = sum(noises)
    others = max(sum(noise > 0 for noise in noises) - 1, 1)
    found = [
        index
        for index, noise in enumerate(noises)
        if noise > max(_CONSPICUOUS * (total - noise) / others, 10 ** (-_HARMLESS_DB / 10))
    ]
    return found if sum(noises[index] for index in found) > _WORTH * total else []


def _for(layer: Evidence) -> Suggestion:
    activations, weights = layer.activation_noise or 0.0, layer.weight_noise or 0.0
    if activations >= weights and layer.cut_share > _MOST:
        percent = 100 * layer.cut_values
        return Suggestion(
            "more_images",
            f"calibrate on more images, or some like these: {percent:.2g} % of its numbers are out of range",
        )
    if weights > activations and not layer.is_per_channel:
        return Suggestion("per_channel", "give each output channel a weight scale of its own")
    if layer.unevenness > _UNEVEN or layer.noise_of_few > _MOST:
        return Suggestion(
            "equalize", f"equalize its channels: the largest is {_times(layer.unevenness)} the median one"
        )
    cause = "weights" if weights > activations else "activations"
    return Suggestion("keep_float", f"--keep-float {layer.name}: 8 bits are too few for its {cause}")


def _times(factor: float) -> str:
    return f"{factor:.0f} ×" if math.isfinite(factor) else "far above"
