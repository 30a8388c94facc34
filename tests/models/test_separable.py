"""The arithmetic of depthwise separable convolutions, and that real ones are found."""

from __future__ import annotations

import pytest

from edgekit.models import zoo
from edgekit.models.separable import EXAMPLE, separable_convolutions


def test_the_textbook_example() -> None:
    assert (EXAMPLE.full_macs, EXAMPLE.depthwise_macs, EXAMPLE.pointwise_macs) == (2160, 432, 240)
    assert EXAMPLE.macs == 672
    assert EXAMPLE.ratio == pytest.approx(1 / 5 + 1 / 9)


@pytest.mark.parametrize(
    ("name", "count"), [("mobilenet_v1", 13), ("mobilenet_v2", 17), ("efficientnet_b0", 16)]
)
def test_every_depthwise_convolution_is_found(name: str, count: int) -> None:
    found = separable_convolutions(zoo.network(name))
    assert len(found) == count
    for one in found:
        assert one.ratio == pytest.approx(1 / one.out_channels + 1 / one.kernel**2)


def test_mobilenet_v1_is_that_much_smaller_than_with_full_convolutions() -> None:
    """MobileNets (arXiv 1704.04861), table 4: 4,866 M multiply-adds with full ones, 569 M without."""
    found = separable_convolutions(zoo.network("mobilenet_v1"))
    stem, classifier = 112 * 112 * 32 * 27, 1024 * 1000
    assert (sum(one.full_macs for one in found) + stem + classifier) / 1e6 == pytest.approx(4866, rel=0.005)
    assert (sum(one.macs for one in found) + stem + classifier) / 1e6 == pytest.approx(569, rel=0.005)


def test_networks_without_them_have_none() -> None:
    assert separable_convolutions(zoo.network("squeezenet1_1")) == ()
