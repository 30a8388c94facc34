"""The network of the zoo that a record's model names."""

from __future__ import annotations

import pytest

from edgekit.measure.record import Model
from edgekit.models import zoo
from edgekit.models.cost import cost
from edgekit.recorded_network import zoo_network


@pytest.mark.parametrize("name", zoo.names())
def test_a_name_alone_is_the_network_as_published(name: str) -> None:
    assert zoo_network(Model(name=name)) == zoo.network(name)


def test_the_scale_and_the_classes_count() -> None:
    found = zoo_network(Model(name="mobilenet_v2", width=0.5, depth=1.0, resolution=96, num_classes=10))
    assert found is not None
    assert (found.scale.width, found.scale.resolution, found.scale.num_classes) == (0.5, 96, 10)
    assert cost(found).layers()[-1].output_shape == (1, 10)


@pytest.mark.parametrize(
    "model", [None, Model(), Model(name="mine"), Model(name="mobilenet_v2", resolution=1)], ids=repr
)
def test_others_are_none(model: Model | None) -> None:
    assert zoo_network(model) is None
