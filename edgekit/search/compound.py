"""The compound rule of EfficientNet: one coefficient φ scales width, depth and resolution together.

Depth grows as α^φ, width as β^φ, resolution as γ^φ with α·β²·γ² = 2, so one step of φ doubles the
multiply-adds (arXiv 1905.11946, equation 3). The paper found α, β, γ = 1.2, 1.1, 1.15 on a coarse grid;
its own networks do not follow from these three, because they were found before rounding. They do follow,
all eight, from the unrounded values below, which differ from the paper's by less than its grid step of
0.05: depth and width rounded to a tenth, resolution to a multiple of 4.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

from edgekit.models.efficientnet import EFFICIENTNET_LITE_VARIANTS, EFFICIENTNET_VARIANTS
from edgekit.options import Scale

__all__ = ["DEPTH_SHARE", "PAPER", "RESOLUTION_SHARE", "RULES", "WIDTH_SHARE", "CompoundRule"]

PAPER = (1.2, 1.1, 1.15)
"""α, β, γ as printed in the paper, section 4."""

DEPTH_SHARE = 0.175
WIDTH_SHARE = 0.105
RESOLUTION_SHARE = (math.log(2) - DEPTH_SHARE - 2 * WIDTH_SHARE) / 2
"""ln α, ln β and ln γ; the third follows from α·β²·γ² = 2."""

_BASE_RESOLUTION = 224
_RESOLUTION_STEP = 4


@dataclass(frozen=True)
class CompoundRule:
    """φ to scale. ``phis`` are the published networks, by name.

    ``resolutions`` are (φ, pixels) between which the resolution follows its own course, straight in its
    logarithm and on beyond the last; empty for γ^φ.
    """

    phis: dict[str, float]
    resolutions: tuple[tuple[float, int], ...] = ()

    @property
    def alpha(self) -> float:
        return math.exp(DEPTH_SHARE)

    @property
    def beta(self) -> float:
        return math.exp(WIDTH_SHARE)

    @property
    def gamma(self) -> float:
        return math.exp(RESOLUTION_SHARE)

    def scale(self, phi: float) -> Scale:
        """The scale at ``phi``, rounded to a thousandth and to a whole pixel."""
        return Scale(
            width=round(math.exp(WIDTH_SHARE * phi), 3),
            depth=round(math.exp(DEPTH_SHARE * phi), 3),
            resolution=round(self._resolution(phi)),
        )

    def published(self, name: str) -> Scale:
        """The network ``name`` by the rule, with the rounding of its authors."""
        phi = self.phis[name]
        return Scale(
            width=round(math.exp(WIDTH_SHARE * phi), 1),
            depth=round(math.exp(DEPTH_SHARE * phi), 1),
            resolution=_RESOLUTION_STEP * round(self._resolution(phi) / _RESOLUTION_STEP),
        )

    def _resolution(self, phi: float) -> float:
        if not self.resolutions or phi <= 0:
            return _BASE_RESOLUTION * math.exp(RESOLUTION_SHARE * phi)
        index = bisect_right([known for known, _ in self.resolutions], phi)
        index = min(max(index, 1), len(self.resolutions) - 1)
        (left, low), (right, high) = self.resolutions[index - 1 : index + 1]
        return low * math.exp(math.log(high / low) * (phi - left) / (right - left))


_PHIS = (0.0, 0.43, 0.95, 1.89, 3.43, 4.61, 5.55, 6.39)
_LITE_PHIS = _PHIS[: len(EFFICIENTNET_LITE_VARIANTS)]

RULES: dict[str, CompoundRule] = {
    "efficientnet": CompoundRule(dict(zip(EFFICIENTNET_VARIANTS, _PHIS, strict=True))),
    # The authors of Lite hold the resolution back: 280 and 300 where γ^φ has 300 and 380.
    "efficientnet_lite": CompoundRule(
        dict(zip(EFFICIENTNET_LITE_VARIANTS, _LITE_PHIS, strict=True)),
        resolutions=tuple(
            (phi, variant.resolution)
            for phi, variant in zip(_LITE_PHIS, EFFICIENTNET_LITE_VARIANTS.values(), strict=True)
        ),
    ),
}
"""Family → its rule."""
