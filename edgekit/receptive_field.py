"""What part of the image a layer's output pixel sees, and how far apart its pixels look.

One number for each axis: a window of k pixels with stride s makes of a field of r pixels, whose
neighbours are j pixels apart, a field of r + (k − 1)·j whose neighbours are j·s apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

__all__ = ["PIXEL", "ReceptiveField", "joined"]

Pair = tuple[int, int]


class ReceptiveField(NamedTuple):
    """``size`` and ``stride`` in pixels of the image, (height, width).

    It is that of unlimited images: at the edges a part of it lies in the padding.
    """

    size: Pair
    stride: Pair

    def through(self, kernel: Pair, stride: Pair = (1, 1), dilation: Pair = (1, 1)) -> ReceptiveField:
        """The field behind a window of ``kernel`` elements, ``dilation`` apart."""
        (height, width), (down, right) = self.size, self.stride
        return ReceptiveField(
            (
                height + (kernel[0] - 1) * dilation[0] * down,
                width + (kernel[1] - 1) * dilation[1] * right,
            ),
            (down * stride[0], right * stride[1]),
        )


PIXEL = ReceptiveField((1, 1), (1, 1))
"""Of the image itself."""


def joined(fields: Iterable[ReceptiveField | None]) -> ReceptiveField | None:
    """Of what adds, multiplies or concatenates values: the largest. None, the whole image, is left out.

    So a gate that looks at the whole image, as in squeeze-and-excitation, does not hide what its layer
    sees in detail.
    """
    local = [field for field in fields if field is not None]
    if not local:
        return None
    heights, widths = zip(*(field.size for field in local), strict=True)
    downs, rights = zip(*(field.stride for field in local), strict=True)
    return ReceptiveField((max(heights), max(widths)), (max(downs), max(rights)))
