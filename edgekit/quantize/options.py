"""What can be chosen about post-training quantization."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgekit.quantize.arithmetic import REDUCED_WEIGHT_MAX, WEIGHT_MAX
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
    ``per_tensor_weights`` gives every layer one weight scale, for accelerators that know no other.
    ``reduce_range`` keeps weights within ±64, so that the sum of two products with 8-bit activations fits
    int16: x86 processors without VNNI saturate it there. It costs one of the weights' bits.
    """

    ranges: RangeMethod | Literal["auto"] = "percentile"
    rounding: Rounding = "compensated"
    bias_correction: bool = True
    per_channel_linear: bool = True
    per_tensor_weights: bool = False
    reduce_range: bool = False

    @property
    def weight_limit(self) -> int:
        """Largest magnitude of a weight's integer."""
        return REDUCED_WEIGHT_MAX if self.reduce_range else WEIGHT_MAX
