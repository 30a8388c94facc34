"""What can be searched: for each family the multipliers it has, and how far they may go."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache

from edgekit.models.scale import round_repeats
from edgekit.options import Scale
from edgekit.search.compound import DEPTH_SHARE, RULES, WIDTH_SHARE, CompoundRule

__all__ = ["BAND", "RESOLUTION_STEP", "SPACES", "WIDTH_STEP", "Space", "depths"]

WIDTH_STEP = 0.005
RESOLUTION_STEP = 8
"""Pixels. Eight keeps the feature maps of the early stages even."""
BAND = 1.5
"""How far, in φ, width, depth and resolution may each leave the compound rule."""
_EXTENSION = 3
_EXTENSION_PHI = 4.0


@dataclass(frozen=True)
class Space:
    """One network of the zoo and the ranges of its multipliers.

    With a ``rule`` the ranges bound it, and width, depth and resolution move within :data:`BAND` around
    it. Without, depth is 1: the family has no published network of another depth.
    """

    model: str
    widths: tuple[float, float]
    resolutions: tuple[int, int]
    rule: CompoundRule | None = None
    phis: tuple[float, float] = (0.0, 0.0)

    def resolution_grid(self, low: int | None = None, high: int | None = None) -> range:
        """Multiples of :data:`RESOLUTION_STEP` within the range, and within ``low`` to ``high``."""
        first = max(self.resolutions[0], low or 0)
        last = min(self.resolutions[1], high or self.resolutions[1])
        start = math.ceil(first / RESOLUTION_STEP) * RESOLUTION_STEP
        return range(start, last + 1, RESOLUTION_STEP)

    def widths_near(self, width: float, factor: float) -> tuple[float, float]:
        """The widths within ``factor`` of ``width``."""
        return max(width / factor, self.widths[0]), min(width * factor, self.widths[1])

    def width_band(self, phi: float) -> tuple[float, float]:
        """The widths allowed around the rule at ``phi``."""
        low, high = math.exp(WIDTH_SHARE * (phi - BAND)), math.exp(WIDTH_SHARE * (phi + BAND))
        return max(low, self.widths[0]), min(high, self.widths[1])

    def depth_band(self, phi: float) -> tuple[float, ...]:
        """The depths allowed around the rule at ``phi``."""
        low, high = math.exp(DEPTH_SHARE * (phi - BAND)), math.exp(DEPTH_SHARE * (phi + BAND))
        return tuple(depth for depth in depths() if low <= depth <= high)

    def resolution_band(self, phi: float) -> tuple[int, int]:
        """The resolutions allowed around the rule at ``phi``."""
        assert self.rule
        low, high = (self.rule.scale(phi + side * BAND).resolution for side in (-1, 1))
        return max(low, self.resolutions[0]), min(high, self.resolutions[1])

    def extended(self) -> Space:
        """The same with more at its upper ends: for budgets that its largest network leaves unused."""
        return replace(
            self,
            widths=(self.widths[0], _EXTENSION * self.widths[1]),
            resolutions=(self.resolutions[0], _EXTENSION * self.resolutions[1]),
            phis=(self.phis[0], self.phis[1] + _EXTENSION_PHI),
        )

    def smallest(self) -> Scale:
        """The cheapest scale of the space, in every cost at once."""
        if self.rule:
            phi = self.phis[0]
            return Scale(
                width=round(self.width_band(phi)[0], 3),
                depth=depths()[0],
                resolution=self.resolution_grid(*self.resolution_band(phi))[0],
            )
        return Scale(width=self.widths[0], resolution=self.resolutions[0])

    def largest(self) -> Scale:
        """The largest scale: of the compound rule, where there is one."""
        if self.rule:
            return self.rule.scale(self.phis[1])
        return Scale(width=self.widths[1], resolution=self.resolutions[1])


SPACES: tuple[Space, ...] = (
    Space("mobilenet_v1", widths=(0.1, 1.5), resolutions=(48, 256)),
    Space("mobilenet_v2", widths=(0.1, 1.6), resolutions=(48, 256)),
    Space("efficientnet_b0", (0.3, 2.2), (64, 672), RULES["efficientnet"], (-4.5, 7.0)),
    Space("efficientnet_lite0", (0.3, 1.5), (64, 320), RULES["efficientnet_lite"], (-4.5, 3.5)),
    Space("squeezenet1_1", widths=(0.25, 1.5), resolutions=(96, 256)),
)
"""Every family whose accuracy is published. A little beyond its largest network, far below its smallest:
above, another family is better; below, there may be no other. SqueezeNet 1.0 is left out: 1.1 reaches its
accuracy at less than half the cost."""


@cache
def depths() -> tuple[float, ...]:
    """Depth multipliers that differ in blocks, ascending, each the shortest number that has its blocks."""
    found: dict[tuple[int, ...], float] = {}
    for step in (10, 20):
        for index in range(step // 4, 4 * step):
            depth = index / step
            found.setdefault(tuple(round_repeats(repeats, depth) for repeats in (1, 2, 3, 4)), depth)
    return tuple(sorted(found.values()))
