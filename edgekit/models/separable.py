"""What a depthwise separable convolution saves: its multiplications against a full convolution's.

A full convolution with k×k kernels from M to N channels takes M·N·k² multiplications for each output
pixel. Filtering each channel by itself and then mixing the channels takes M·k² + M·N, which is
1/N + 1/k² of it (MobileNets, arXiv 1704.04861, section 3.1).
"""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.models.layers import Conv, Layer
from edgekit.models.network import Network, Site

__all__ = ["EXAMPLE", "Separable", "separable_convolutions"]


@dataclass(frozen=True)
class Separable:
    """A depthwise convolution and the pointwise one behind it.

    ``in_channels`` are filtered by ``kernel`` × ``kernel`` and mixed into ``out_channels``, at ``height``
    × ``width`` output pixels; ``in_height`` × ``in_width`` pixels go in.
    """

    name: str
    in_channels: int
    in_height: int
    in_width: int
    out_channels: int
    height: int
    width: int
    kernel: int

    @property
    def full_macs(self) -> int:
        """Multiplications of the full convolution with the same input and output."""
        return self.height * self.width * self.in_channels * self.out_channels * self.kernel**2

    @property
    def depthwise_macs(self) -> int:
        return self.height * self.width * self.in_channels * self.kernel**2

    @property
    def pointwise_macs(self) -> int:
        return self.height * self.width * self.in_channels * self.out_channels

    @property
    def macs(self) -> int:
        return self.depthwise_macs + self.pointwise_macs

    @property
    def ratio(self) -> float:
        """Of the full convolution's multiplications: 1/N + 1/k²."""
        return self.macs / self.full_macs


EXAMPLE = Separable("example", 3, 6, 6, 5, 4, 4, kernel=3)
"""6×6 pixels of 3 channels to 4×4 of 5 with 3×3 kernels: 2,160 multiplications, or 432 + 240 = 672."""


def separable_convolutions(network: Network) -> tuple[Separable, ...]:
    """Every depthwise convolution of ``network`` with the pointwise one that takes up its channels."""
    return tuple(
        _separable(f"{block.name}.{depthwise.out.name}", depthwise, pointwise, block.site)
        for block in network.blocks()
        for depthwise, pointwise in _pairs(block.site.structure.layers)
    )


def _pairs(layers: tuple[Layer, ...]) -> list[tuple[Conv, Conv]]:
    """Depthwise convolutions, each with the next pointwise one at its own size; gates are points."""
    convolutions = [layer for layer in layers if isinstance(layer, Conv)]
    return [
        (depthwise, pointwise)
        for index, depthwise in enumerate(convolutions)
        if depthwise.groups > 1
        for pointwise in [
            other
            for other in convolutions[index + 1 :]
            if other.kernel == (1, 1) and other.out.extent == depthwise.out.extent
        ][:1]
    ]


def _separable(name: str, depthwise: Conv, pointwise: Conv, site: Site) -> Separable:
    channels, in_height, in_width = site.shape(depthwise.inputs[0])
    out_channels, height, width = site.shape(pointwise.out)
    return Separable(name, channels, in_height, in_width, out_channels, height, width, depthwise.kernel[0])
