"""From the model in a record back to the network of the zoo that it is."""

from __future__ import annotations

from edgekit.errors import InputError
from edgekit.measure.record import Model
from edgekit.models import zoo
from edgekit.models.network import Network

__all__ = ["zoo_network"]


def zoo_network(model: Model | None) -> Network | None:
    """The network of the zoo at the model's scale; None for others, and where it cannot have that scale."""
    if model is None or model.name not in zoo.names():
        return None
    try:
        return zoo.network(
            model.name,
            width=model.width,
            depth=model.depth,
            resolution=model.resolution,
            num_classes=model.num_classes,
        )
    except InputError:  # records may come from another version, whose zoo had other scales
        return None
