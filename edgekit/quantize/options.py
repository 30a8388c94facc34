"""What can be chosen about post-training quantization."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from edgekit.errors import UnknownNameError
from edgekit.options import Ranges
from edgekit.quantize.arithmetic import REDUCED_WEIGHT_MAX, WEIGHT_MAX

__all__ = ["CONDITIONING", "STAGES", "QuantizeOptions", "Rounding", "check_stages"]

Rounding = Literal["nearest", "compensated"]

STAGES: dict[str, str] = {
    "spare-channels": "dead channels carry a second, staggered copy of those whose rounding is heard most",
    "absorb-biases": "channels of linear layers are centered, the offset moves into the next bias",
    "equalize": "channels that share a scale get like ranges",
    "range-choice": "activation ranges give up rare extremes for a finer step",
    "weight-scales": "each depthwise filter has the scale of least output error",
    "pair-sums": "two neighbouring products fit 16 bits, in which x86 processors without VNNI add them",
    "compensated-rounding": "the rounding error of a weight is absorbed by those not yet rounded",
    "gain-correction": "each layer's output gets back the strength that noise took from it",
    "bias-correction": "each layer's mean output is moved back to the fp32 network's",
}
"""The stages of the default mode in their order, each with what it does in a sentence."""

CONDITIONING = frozenset({"spare-channels", "absorb-biases", "equalize"})
"""Stages that change the fp32 graph, but not its function, before it is calibrated."""

_WITHOUT: dict[str, dict[str, Any]] = {
    "range-choice": {"ranges": "minmax"},
    "weight-scales": {"weight_scales": "largest"},
    "pair-sums": {"pair_sums": False},
    "compensated-rounding": {"rounding": "nearest"},
    "gain-correction": {"gain_correction": False},
    "bias-correction": {"bias_correction": False},
}


@dataclass(frozen=True)
class QuantizeOptions:
    """Stages of the quantizer; each can be switched off.

    ``ranges`` picks how activation ranges are chosen, ``"auto"`` the one whose logits are nearest to the
    fp32 network's on a few calibration images. ``"percentile"`` depends least on which images calibrate:
    on EfficientNet-Lite0 it was the best or nearly so for real and for generated ones.
    ``rounding`` of weights is to ``nearest`` or ``compensated``: each weight's rounding error is absorbed
    by those not yet rounded.
    ``weight_scales`` is the scale of each channel: that of its ``largest`` weight, or the one of least
    output ``error`` where rounding is compensated.
    ``gain_correction`` scales each layer's output to the strength that it has in the fp32 network; it needs
    ``bias_correction``, since it moves means.
    ``bias_correction`` makes each layer's mean output equal to the fp32 network's, layer after layer.
    ``per_channel_linear`` gives a fully-connected layer one scale per output, which runtimes before
    2021 do not take.
    ``per_tensor_weights`` gives every layer one weight scale, for accelerators that know no other.
    ``pair_sums`` keeps the sum of two neighbouring products with 8-bit activations within int16, where x86
    processors without VNNI saturate it in onnxruntime and OpenVINO: see :mod:`edgekit.graph.pair_sums`.
    ``reduce_range`` does so whichever two a kernel adds, by weights within ±64: one of their bits less.
    ``effort`` ``"high"`` learns on top of all stages, in minutes and with torch, by ``seed``: see
    :mod:`edgekit.quantize.learning`.
    """

    ranges: Ranges = "percentile"
    rounding: Rounding = "compensated"
    weight_scales: Literal["largest", "error"] = "error"
    gain_correction: bool = True
    bias_correction: bool = True
    per_channel_linear: bool = True
    per_tensor_weights: bool = False
    pair_sums: bool = True
    reduce_range: bool = False
    effort: Literal["default", "high"] = "default"
    seed: int = 0

    def without(self, stages: Iterable[str]) -> QuantizeOptions:
        """These options with stages of :data:`STAGES` switched off."""
        changes: dict[str, Any] = {}
        for stage in stages:
            changes.update(_WITHOUT.get(stage, {}))
        return replace(self, **changes)

    @property
    def weight_limit(self) -> int:
        """Largest magnitude of a weight's integer."""
        return REDUCED_WEIGHT_MAX if self.reduce_range else WEIGHT_MAX


def check_stages(names: Iterable[str]) -> None:
    """Raise :class:`UnknownNameError`, with the nearest names, for one that is no stage's."""
    for name in names:
        if name not in STAGES:
            raise UnknownNameError("stage", name, STAGES)
