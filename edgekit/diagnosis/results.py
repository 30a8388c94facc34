"""What a comparison layer by layer returns, and its JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from edgekit.diagnosis.matching import Basis
from edgekit.diagnosis.suggestions import Suggestion
from edgekit.results import JSON

__all__ = ["LayerError", "LayersComparison", "WorstChannel"]


@dataclass(frozen=True)
class WorstChannel:
    """``noise_share`` is its part of the layer's whole noise, 0 to 1."""

    channel: int
    sqnr_db: float
    noise_share: float

    def to_json(self) -> dict[str, JSON]:
        return {
            "channel": self.channel,
            "sqnr_db": _decibels(self.sqnr_db),
            "noise_share": round(self.noise_share, 4),
        }


@dataclass(frozen=True)
class LayerError:
    """One layer; ratios of signal to noise in dB, infinite where nothing differs.

    ``output_sqnr_db`` compares the outputs as they come out of the two files: the layer's own error and
    that of all before it. ``weight_sqnr_db`` is the output's when only this layer's weights are the
    file's, ``activation_sqnr_db`` when only this output is rounded to the file's grid; None where the
    layer has no weights, or its output no grid. ``matched_by`` tells how the layer was found in the
    file, ``is_rescaled`` that equalization scaled its channels there, which is undone here.
    """

    name: str
    op: str
    output_sqnr_db: float
    weight_sqnr_db: float | None
    activation_sqnr_db: float | None
    worst_channels: tuple[WorstChannel, ...]
    matched_by: Basis
    is_rescaled: bool = False
    suggestion: Suggestion | None = None

    def to_json(self) -> dict[str, JSON]:
        return {
            "name": self.name,
            "op": self.op,
            "output_sqnr_db": _decibels(self.output_sqnr_db),
            "weight_sqnr_db": _decibels(self.weight_sqnr_db),
            "activation_sqnr_db": _decibels(self.activation_sqnr_db),
            "worst_channels": [channel.to_json() for channel in self.worst_channels],
            "matched_by": self.matched_by,
            "is_rescaled": self.is_rescaled,
            "remedy": None if self.suggestion is None else self.suggestion.remedy,
            "suggestion": None if self.suggestion is None else self.suggestion.text,
        }


@dataclass(frozen=True)
class LayersComparison:
    """An int8 file against its fp32 network: the logits' agreement in percent and SQNR in dB, and all layers.

    ``layers`` are in the network's order; ``unmatched`` names those that were not found in the file.
    """

    reference: str
    artifact: Path
    images: int
    agreement: float
    sqnr_db: float
    layers: tuple[LayerError, ...]
    unmatched: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, JSON]:
        return {
            "reference": self.reference,
            "artifact": self.artifact.as_posix(),
            "images": self.images,
            "agreement": round(self.agreement, 2),
            "sqnr_db": _decibels(self.sqnr_db),
            "layers": [layer.to_json() for layer in self.layers],
            "unmatched": list(self.unmatched),
            "warnings": list(self.warnings),
        }


def _decibels(value: float | None) -> float | None:
    return round(value, 2) if value is not None and math.isfinite(value) else None
