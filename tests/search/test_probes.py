"""Probes: networks for timing alone, which have every kind of layer at many sizes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.machine_fit import PROBES
from edgekit.models.cost import cost
from edgekit.profilers import layers_of, profile_file
from edgekit.search.layer_work import LAYER_KINDS, network_amounts
from edgekit.search.probes import probes
from edgekit.trial import make_trial

FEW = 3
OF_LARGE_NETWORKS = {
    "depthwise_mac_beyond_32768",
    "convolution_traffic_beyond_1048576",
    "traffic_beyond_1048576",
    "depthwise_mac_of_outputs_beyond_2097152",
    *(f"weight_beyond_{count}" for count in (4194304, 8388608, 16777216)),
    *(f"wide_mac_beyond_{count}" for count in (4194304, 8388608, 16777216)),
}
"""Kinds of work that the networks have to show: probes are small."""


def test_a_seed_gives_the_same_networks() -> None:
    assert list(probes(FEW)) == list(probes(FEW))
    assert list(probes(FEW)) != list(probes(FEW, seed=1))


def test_all_are_measured_in_milliseconds() -> None:
    for probe in probes(PROBES):
        assert 4e6 <= cost(probe).macs <= 1.2e8


def test_every_kind_of_layer_is_in_several() -> None:
    works = [network_amounts(probe) for probe in probes(PROBES)]
    several = {
        kind
        for kind, amounts in zip(LAYER_KINDS, zip(*works, strict=True), strict=True)
        if sum(amount > 0 for amount in amounts) >= FEW
    }
    assert set(LAYER_KINDS) - several == OF_LARGE_NETWORKS


@pytest.mark.parametrize("index", range(FEW))
def test_their_layers_are_timed_by_name(index: int, tmp_path: Path) -> None:
    probe = list(probes(FEW))[index]
    operators = profile_file(make_trial(probe, "tflite", "int8", tmp_path), 1, 3).operators
    rows = cost(probe).layers()
    timed = {name for name in layers_of([one.name for one in operators], [row.name for row in rows]) if name}
    assert {row.name for row in rows if row.op in ("Conv", "Transpose")} <= timed
