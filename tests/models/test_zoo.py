"""Names, scales and their limits."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.errors import InputError, UnknownNameError
from edgekit.models import zoo
from edgekit.models.cost import cost

PARAMS = {
    "mobilenet_v1": 4_231_976,
    "mobilenet_v2": 3_504_872,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_1": 1_235_496,
    "efficientnet_b0": 5_288_548,
    "efficientnet_b1": 7_794_184,
    "efficientnet_b2": 9_109_994,
    "efficientnet_b3": 12_233_232,
    "efficientnet_b4": 19_341_616,
    "efficientnet_b5": 30_389_784,
    "efficientnet_b6": 43_040_704,
    "efficientnet_b7": 66_347_960,
    "efficientnet_lite0": 4_652_008,
    "efficientnet_lite1": 5_416_680,
    "efficientnet_lite2": 6_092_072,
    "efficientnet_lite3": 8_197_096,
    "efficientnet_lite4": 13_006_568,
}
"""Published: torchvision and timm model pages."""

SMALLEST = {"squeezenet1_0": 21}
"""torchvision's ``min_size``, 17 for squeezenet1_1; where five halvings alone limit, it is 17 too."""


def test_every_published_network_is_there() -> None:
    assert set(zoo.names()) == set(PARAMS)


@pytest.mark.parametrize("name", zoo.names())
def test_parameters_are_the_published_ones(name: str) -> None:
    assert zoo.entry(name).published.params == PARAMS[name]
    assert cost(zoo.network(name)).params == PARAMS[name]


@pytest.mark.parametrize("name", zoo.names())
def test_published_accuracies_are_in_the_literature(name: str, shared_dir: Path) -> None:
    published = zoo.entry(name).published
    with (shared_dir / "reference" / "imagenet_accuracy.csv").open(newline="", encoding="utf-8") as file:
        known = [
            (row["family"], float(row["top1"]), row["source"]) for row in csv.DictReader(file) if row["top1"]
        ]
    family = zoo.family_of(name)
    if published.top1 is None:
        assert not published.source
        return
    assert any(
        row[:2] == (family, published.top1) and row[2].startswith(published.source) for row in known
    ), f"{published} is not in the table of published figures"


@pytest.mark.parametrize("family", zoo.families())
def test_families_partition_the_names(family: str) -> None:
    names = zoo.names(family)
    assert names
    assert all(zoo.family_of(name) == family for name in names)
    assert sum(len(zoo.names(each)) for each in zoo.families()) == len(zoo.names())


def test_unknown_names_offer_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="unknown model 'mobilnet_v2'") as caught:
        zoo.network("mobilnet_v2")
    assert "mobilenet_v2" in caught.value.hint
    with pytest.raises(UnknownNameError) as caught:
        zoo.names("efficient_lite")
    assert "efficientnet_lite" in caught.value.hint


@pytest.mark.parametrize("name", zoo.names())
def test_the_smallest_resolution_builds_and_the_next_below_says_so(name: str) -> None:
    smallest = SMALLEST.get(name, 17)
    assert cost(zoo.network(name, resolution=smallest)).macs > 0
    for resolution in (1, smallest - 1):
        with pytest.raises(InputError, match=f"resolution {resolution}, its smallest is {smallest}$"):
            zoo.network(name, resolution=resolution)


@pytest.mark.parametrize("name", zoo.names())
@pytest.mark.parametrize("resolution", [32, 33, 97, 160, 331])
def test_every_resolution_above_builds(name: str, resolution: int) -> None:
    network = zoo.network(name, resolution=resolution)
    *_, last = cost(network).layers()
    assert last.output_shape[:2] == (1, 1000)


def test_keywords_replace_single_fields_of_a_scale() -> None:
    scale = replace(zoo.default_scale("efficientnet_b2"), num_classes=10)
    network = zoo.network("efficientnet_b2", scale, resolution=128, in_channels=1)
    assert network.scale == replace(scale, resolution=128, in_channels=1)
    assert network.input_shape == (1, 128, 128)


@pytest.mark.parametrize("name", zoo.names())
def test_wider_deeper_and_finer_cost_more(name: str) -> None:
    own = zoo.default_scale(name)
    base = cost(zoo.network(name))
    assert cost(zoo.network(name, width=own.width * 1.5)).params > base.params
    assert cost(zoo.network(name, depth=own.depth * 2)).macs > base.macs
    finer = cost(zoo.network(name, resolution=own.resolution * 2))
    assert finer.params == base.params
    assert finer.macs > 3 * base.macs


def test_lite_keeps_ends_and_outer_stages() -> None:
    small, large = zoo.network("efficientnet_lite0"), zoo.network("efficientnet_lite4")
    rows = [cost(network).layers() for network in (small, large)]
    assert rows[0][0].output_shape[1] == rows[1][0].output_shape[1] == 32
    assert rows[0][-1].weights == rows[1][-1].weights == 1280 * 1000
    assert len(list(large.blocks())) - len(list(small.blocks())) == 14
