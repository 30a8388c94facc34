"""What can be chosen about post-training quantization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgekit.quantize.ranges import RangeMethod

__all__ = ["QuantizeOptions", "Rounding"]

Rounding = Literal["nearest", "compensated"]


@dataclass(frozen=True)
class QuantizeOptions:
    """Stages of the quantizer; each can be switched off.

    ``ranges`` picks how activation ranges are chosen, ``"auto"`` the one whose logits are nearest to the
    fp32 network's on a few calibration images. ``"percentile"`` depends least on which images calibrate:
    on EfficientNet-Lite0 it was the best or nearly so for real and for generated ones.
    ``rounding`` of weights is to ``nearest`` or ``compensated``: each weight's rounding error is absorbed
    by those not yet rounded.
    ``bias_correction`` makes each layer's mean output equal to the fp32 network's, layer after layer.
    ``per_channel_linear`` gives a fully-connected layer one scale per output, which runtimes before
    2021 do not take.
    """

    ranges: RangeMethod | Literal["auto"] = "percentile"
    rounding: Rounding = "compensated"
    bias_correction: bool = True
    per_channel_linear: bool = True
