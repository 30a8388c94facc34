"""What microcontrollers and NPUs take, estimated: against the network's own counts and vela's totals."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit import target
from edgekit.errors import InputError, UnsupportedError
from edgekit.estimating import ESTIMATED_KINDS, EstimateOptions, estimate
from edgekit.micro.arena import plan_arena
from edgekit.models import zoo
from edgekit.models.cost import cost
from edgekit.options import ScaleChange
from edgekit.runtimes.tflite_file import read
from family_files import network_file

SCALE = ScaleChange(width=0.25, resolution=96)
NETWORK = zoo.network("mobilenet_v1", width=0.25, resolution=96)
ESTIMATED = [one.name for one in target.all_targets() if one.kind in ESTIMATED_KINDS]


@pytest.fixture
def path() -> Path:
    return network_file("mobilenet_v1", 0.25, 96)


def test_a_microcontroller_needs_its_arena_and_gets_no_invented_time(path: Path) -> None:
    pytest.importorskip("tflite_micro", reason="needs edgekit[microcontrollers]")
    found = estimate(str(path), EstimateOptions("cortex-m4-256kb"))
    assert found.arena is not None
    assert found.arena.planned_bytes == plan_arena(read(path)).total_bytes == found.arena.measured_bytes
    assert found.arena.cmsis_nn_bytes >= found.arena.planned_bytes
    assert {(one.ms, one.cycles) for one in found.operators} == {(None, None)}
    assert max(one.memory_bytes for one in found.operators) < found.arena.planned_bytes
    assert found.refusals == ()


def test_multiply_adds_are_those_of_the_networks_layers() -> None:
    found = estimate("mobilenet_v1", EstimateOptions("cortex-m7-512kb", scale=SCALE))
    rows = {row.name: row.macs for row in cost(NETWORK).layers() if row.macs}
    assert {one.layer: one.macs for one in found.operators if one.macs} == rows
    assert any("made for this estimate alone" in sentence for sentence in found.warnings)


def test_an_npu_has_velas_cycles_and_milliseconds_for_every_layer() -> None:
    pytest.importorskip("ethosu", reason="needs edgekit[ethos-u]")
    found = estimate("mobilenet_v1", EstimateOptions("ethos-u55-256", scale=SCALE))
    assert found.npu is not None
    rows = {row.name for row in cost(NETWORK).layers() if row.macs}
    assert {one.layer for one in found.operators if one.macs} >= rows
    assert sum(one.cycles or 0 for one in found.operators) == pytest.approx(found.npu.cycles, rel=0.01)
    assert sum(one.ms or 0 for one in found.operators) == pytest.approx(found.npu.latency_ms, rel=0.01)
    assert "layers" not in found.to_json()["npu"]


def test_what_does_not_fit_is_told_and_estimated_all_the_same() -> None:
    found = estimate("mobilenet_v1", EstimateOptions("cortex-m4-256kb", scale=ScaleChange(resolution=96)))
    assert any("flash of target cortex-m4-256kb" in sentence for sentence in found.refusals)
    assert found.operators


def test_a_precision_that_it_does_not_take() -> None:
    with pytest.raises(UnsupportedError, match="does not take fp16"):
        estimate("mobilenet_v1", EstimateOptions("ethos-u55-256", "fp16", SCALE))


@pytest.mark.parametrize("name", ["host", "rpi4", "tflite"])
def test_what_can_be_measured_is_not_estimated(name: str) -> None:
    with pytest.raises(InputError, match="measured, not estimated"):
        estimate("mobilenet_v1", EstimateOptions(name))


def test_there_are_targets_to_estimate() -> None:
    assert {name.split("-")[0] for name in ESTIMATED} == {"cortex", "ethos"}
