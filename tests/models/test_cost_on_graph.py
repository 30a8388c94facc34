"""The closed form equals, exactly, what is counted on the captured graph, for every table of the zoo."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from edgekit.capture import capture
from edgekit.graph.count import count
from edgekit.models.cost import cost
from edgekit.models.module import assemble
from edgekit.models.network import Network
from edgekit.options import PRECISIONS
from small_networks import representatives, small

SCALES: dict[str, Callable[[str], Network]] = {
    "small": lambda name: small(name, width=0.25, depth=0.4, resolution=33, num_classes=3, in_channels=1),
    "wide": lambda name: small(name, width=0.6, resolution=70),
    "deep": lambda name: small(name, width=0.1, depth=1.3, resolution=129, num_classes=11),
}


def without_values(network: Network) -> nn.Module:
    """Values do not matter to what is counted."""
    module = assemble(network).to_empty(device="cpu")
    with torch.no_grad():
        for tensor in module.state_dict().values():
            tensor.fill_(1)
    return module


OFTEN_SCALED = ("mobilenet_v1", "mobilenet_v2", "squeezenet1_0", "efficientnet_b0", "efficientnet_lite0")
CASES = [(name, "small") for name in representatives()] + [
    (name, scale) for name in OFTEN_SCALED for scale in ("wide", "deep")
]


@pytest.mark.parametrize(("name", "scale"), CASES)
def test_rows_and_totals_are_those_of_the_graph(name: str, scale: str) -> None:
    network = SCALES[scale](name)
    counted = count(capture(without_values(network), (1, *network.input_shape)))
    ours = cost(network).layers()
    assert [(row.name, row.op, row.output_shape, row.weights, row.biases, row.macs) for row in ours] == [
        (row.name, row.op, row.output_shape, row.weights, row.biases, row.macs) for row in counted.layers
    ]
    for precision in PRECISIONS:
        totals = cost(network, precision)
        assert totals.macs == counted.macs
        assert totals.weight_bytes == counted.weight_bytes(precision)
        assert totals.peak_activation_bytes == counted.peak_activation_bytes(precision)
