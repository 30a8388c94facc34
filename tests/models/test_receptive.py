"""Receptive fields: by hand, by gradients, and equal on table and graph; stacks and groups of kernels."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgekit.capture import capture
from edgekit.graph.receptive import receptive_fields as fields_of_graph
from edgekit.models import zoo
from edgekit.models.cost import cost
from edgekit.models.deployed import depth_of
from edgekit.models.module import assemble
from edgekit.models.receptive import receptive_fields
from edgekit.models.resnet import resnext_width
from edgekit.models.stacks import EXAMPLES, stacks
from edgekit.receptive_field import PIXEL, ReceptiveField, joined
from small_networks import tiny


def field_at(name: str, layer: str) -> ReceptiveField | None:
    network = zoo.network(name)
    rows = [row.name for row in cost(network).layers()]
    return receptive_fields(network)[rows.index(layer)]


def test_two_small_kernels_see_what_a_larger_one_does() -> None:
    twice = PIXEL.through((3, 3)).through((3, 3))
    assert (twice.size, twice.through((3, 3)).size) == ((5, 5), (7, 7))
    assert PIXEL.through((3, 3), dilation=(2, 2)).size == (5, 5)
    assert [(one.seen, one.macs, one.single_macs) for one in EXAMPLES] == [(5, 18, 25), (7, 27, 49)]


@pytest.mark.parametrize(
    ("name", "layer", "size", "stride"),
    [
        ("vgg16", "blocks.12.conv", 196, 16),
        ("vgg16", "pools.4.pool", 212, 32),
        ("alexnet", "blocks.4.conv", 163, 16),
        ("resnet50", "blocks.15.add", 427, 32),
        ("mobilenet_v1", "blocks.12.pointwise", 315, 32),
    ],
)
def test_published_receptive_fields(name: str, layer: str, size: int, stride: int) -> None:
    """Computing Receptive Fields of Convolutional Neural Networks (Distill 2019): VGG-16's 212 and MobileNet
    v1's 315 are its own, AlexNet's 195 is behind one more pool, whose window adds 2 · 16. ResNet-50 has the
    stride in its 3×3 convolutions here: by hand 11 + 3·2·4 + 8 + 3·2·8 + 16 + 5·2·16 + 32 + 2·2·32 = 427.
    """
    assert field_at(name, layer) == ((size, size), (stride, stride))


def test_a_kernel_of_seven_by_one_sees_a_line() -> None:
    fields = receptive_fields(zoo.network("inception_v3"))
    assert any(field is not None and field.size[0] != field.size[1] for field in fields)


@pytest.mark.parametrize(
    "name", ["resnet18", "googlenet", "shufflenet_v2_x0_5", "se_resnet50", "densenet121"]
)
def test_table_and_graph_agree(name: str) -> None:
    network = tiny(name)
    module = assemble(network).to_empty(device="cpu")
    with torch.no_grad():
        for tensor in module.state_dict().values():
            tensor.fill_(1)
    by_name = fields_of_graph(capture(module, (1, *network.input_shape), method="fx"))
    rows = [row.name for row in cost(network).layers()]
    assert [by_name[row] for row in rows] == list(receptive_fields(network))


def test_gradients_reach_as_far_as_the_field_says() -> None:
    """Of random positive weights, so that nothing cancels: the extent of the input that matters."""
    chain = nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=2, bias=False),
        nn.Conv2d(2, 2, (1, 5), bias=False),
        nn.AvgPool2d(2, 2),
        nn.Conv2d(2, 1, 3, dilation=2, bias=False),
    )
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in chain.parameters():
            parameter.uniform_(0.1, 1, generator=generator)
    image = torch.ones(1, 1, 61, 61, requires_grad=True)
    output = chain(image)
    output[0, 0, output.shape[2] // 2, output.shape[3] // 2].backward()
    assert image.grad is not None
    seen = image.grad[0, 0].nonzero()
    extent = (seen.max(0).values - seen.min(0).values + 1).tolist()
    field = (
        PIXEL.through((3, 3), (2, 2)).through((1, 5)).through((2, 2), (2, 2)).through((3, 3), (1, 1), (2, 2))
    )
    assert tuple(extent) == field.size
    assert field.stride == (4, 4)


def test_gates_that_see_the_whole_image_hide_nothing() -> None:
    assert joined([None, PIXEL]) == PIXEL
    assert joined([None]) is None
    assert field_at("se_resnet50", "blocks.15.se.expand_act") is None
    assert field_at("se_resnet50", "blocks.15.add") == field_at("resnet50", "blocks.15.add")
    assert field_at("resnet50", "classifier.linear") is None


def test_stacks_of_vgg() -> None:
    found = {stack.name: (stack.count, stack.seen, stack.channels) for stack in stacks(zoo.network("vgg19"))}
    assert found == {
        "blocks.5.conv": (3, 7, 256),
        "blocks.9.conv": (3, 7, 512),
        "blocks.12.conv": (4, 9, 512),
    }
    assert stacks(zoo.network("mobilenet_v2")) == ()


@pytest.mark.parametrize(("groups", "width"), [(1, 64), (2, 40), (4, 24), (8, 14), (32, 4)])
def test_groups_at_equal_cost_are_as_wide_as_the_paper_has_them(groups: int, width: int) -> None:
    """Aggregated Residual Transformations (arXiv 1611.05431), table 2."""
    found = resnext_width(groups)
    assert round(found) == width
    assert 9 * groups * found**2 + 8 * groups * 64 * found == pytest.approx(17 * 64**2)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("lenet5", 5),
        ("alexnet", 8),
        ("googlenet", 22),
        ("cifar_resnet56", 56),
        ("xception", 71),
        ("mobilenet_v1", 28),
        *((f"vgg{layers}", layers) for layers in (11, 13, 16, 19)),
        *((f"resnet{layers}", layers) for layers in (18, 34, 50, 101, 152)),
        *((f"densenet{layers}", layers) for layers in (121, 169, 201)),
    ],
)
def test_layers_are_counted_as_the_papers_do(name: str, layers: int) -> None:
    assert depth_of(zoo.network(name)) == layers
