"""Names, scales and their limits."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.errors import InputError, UnknownNameError
from edgekit.models import zoo
from edgekit.models.cost import cost
from edgekit.models.entry import IMAGENET
from edgekit.models.module import assemble
from small_networks import SMALLEST, small

PARAMS = {
    "lenet5": 61_706,
    "lenet5_28": 61_706,
    "alexnet": 61_100_840,
    "alexnet_two_towers": 60_965_224,
    "zfnet": 62_357_608,
    "nin": 7_595_176,
    "vgg11": 132_863_336,
    "vgg11_bn": 132_868_840,
    "vgg13": 133_047_848,
    "vgg13_bn": 133_053_736,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248,
    "googlenet": 6_624_904,
    "inception_v3": 23_834_568,
    "inception_v4": 42_679_816,
    "inception_resnet_v2": 55_843_464,
    "xception": 22_855_952,
    "cifar_resnet20": 269_722,
    "cifar_resnet56": 853_018,
    "cifar_resnet110_stochastic_depth": 1_727_962,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "preact_resnet50": 25_549_352,
    "preact_resnet101": 44_541_480,
    "wide_resnet50_2": 68_883_240,
    "wrn28_10": 36_479_194,
    "resnext50_32x4d": 25_028_904,
    "densenet121": 7_978_856,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "se_resnet50": 28_088_024,
    "se_resnext50_32x4d": 27_559_896,
    "mobilenet_v1": 4_231_976,
    "mobilenet_v2": 3_504_872,
    "mobilenet_v3_large": 5_483_032,
    "mobilenet_v3_small": 2_542_856,
    "mnasnet0_5": 2_218_512,
    "mnasnet0_75": 3_170_208,
    "mnasnet1_0": 4_383_312,
    "mnasnet1_3": 6_282_256,
    "mnasnet_a1": 3_887_038,
    "shufflenet_v2_x0_5": 1_366_792,
    "shufflenet_v2_x1_0": 2_278_604,
    "shufflenet_v2_x1_5": 3_503_624,
    "shufflenet_v2_x2_0": 7_393_996,
    "squeezenet1_0": 1_248_424,
    "squeezenet1_0_bypass": 1_248_424,
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
"""Published: torchvision and timm model pages, Caffe's model zoo (AlexNet, NiN), imgclsmob (ZFNet)."""

UNCOUNTED = {"cifar_plain20", "cifar_plain56", "fractalnet20", "se_googlenet", "se_inception_v3"}
"""Published without a number of parameters, or, FractalNet, with one that its text does not give."""

EQUALS = {"cifar_plain20": 269_722, "cifar_plain56": 853_018}
"""Shortcuts of option A have no parameters: the plain networks have those of the residual ones."""

TRAINED = {"googlenet": 13_004_888, "inception_v3": 27_161_264}
"""With auxiliary classifiers, as torchvision builds them to be trained."""


def test_every_published_network_is_there() -> None:
    assert set(zoo.names()) == set(PARAMS) | UNCOUNTED


@pytest.mark.parametrize("name", zoo.names())
def test_parameters_are_the_published_ones(name: str) -> None:
    assert zoo.entry(name).published.params == PARAMS.get(name)
    found = cost(zoo.network(name)).params
    assert found == PARAMS.get(name, EQUALS.get(name, found))


@pytest.mark.parametrize("name", TRAINED)
def test_auxiliary_classifiers_are_built_for_training_alone(name: str) -> None:
    network = zoo.network(name)
    for training, params in ((False, PARAMS[name]), (True, TRAINED[name])):
        module = assemble(network, training=training)
        assert sum(tensor.numel() for tensor in module.parameters()) == params


def test_squeeze_and_excitation_adds_two_layers_a_module() -> None:
    """2C²/r weights and C/r + C biases for every C channels (arXiv 1709.01507, equation 5)."""
    for name in ("googlenet", "inception_v3"):
        plain, wrapped = zoo.network(name), zoo.network(f"se_{name}")
        outputs = [
            block.site.structure.output.channels
            for block in plain.blocks()
            if block.name.startswith("blocks.")
        ]
        added = sum(2 * c * (c // 16) + c // 16 + c for c in outputs)
        assert cost(wrapped).params == cost(plain).params + added


@pytest.mark.parametrize("name", zoo.names())
def test_published_accuracies_are_in_the_literature(name: str, shared_dir: Path) -> None:
    published = zoo.entry(name).published
    with (shared_dir / "reference" / "imagenet_accuracy.csv").open(newline="", encoding="utf-8") as file:
        known = [row for row in csv.DictReader(file) if row["top1"]]
    if published.top1 is None:
        assert not published.source
        return
    if published.dataset != IMAGENET or "arXiv" in published.source:
        return  # the table of published figures has no papers' own, and ImageNet alone
    assert any(
        row["family"] == zoo.family_of(name)
        and float(row["top1"]) == published.top1
        and (published.top5 is None or float(row["top5"] or "nan") == published.top5)
        and row["source"].startswith(published.source)
        for row in known
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
    network = small(name, resolution=resolution)
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
    if zoo.entry(name).has_depth:
        assert cost(zoo.network(name, depth=own.depth * 2)).macs > base.macs
    finer = cost(zoo.network(name, resolution=own.resolution * 2))
    assert finer.macs > 2 * base.macs
    has_weights_for_pixels = zoo.family_of(name) in ("lenet", "alexnet", "zfnet", "vgg")
    assert (finer.params > base.params) if has_weights_for_pixels else (finer.params == base.params)


def test_a_network_without_repeats_has_no_depth() -> None:
    assert zoo.network("alexnet", depth=1.0) == zoo.network("alexnet")
    with pytest.raises(InputError, match="alexnet has no depth to scale, depth is 2") as caught:
        zoo.network("alexnet", depth=2.0)
    assert "--width" in caught.value.hint


def test_lite_keeps_ends_and_outer_stages() -> None:
    small, large = zoo.network("efficientnet_lite0"), zoo.network("efficientnet_lite4")
    rows = [cost(network).layers() for network in (small, large)]
    assert rows[0][0].output_shape[1] == rows[1][0].output_shape[1] == 32
    assert rows[0][-1].weights == rows[1][-1].weights == 1280 * 1000
    assert len(list(large.blocks())) - len(list(small.blocks())) == 14
