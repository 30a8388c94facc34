"""vela's estimates: every operator of our int8 files on the NPU, and every target that it has."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest

from edgekit import target
from edgekit.errors import MissingExtraError
from edgekit.micro import vela
from edgekit.micro.vela import estimate
from edgekit.models.cost import cost
from edgekit.models.zoo import network
from edgekit.target import Npu, Target
from family_files import network_file

NPU_TARGETS = [one for one in target.all_targets() if one.kind == "npu"]
NETWORKS = {"mobilenet_v1": (0.25, 96), "mobilenet_v2": (0.35, 96), "efficientnet_lite0": (1.0, 224)}

installed = pytest.mark.skipif(
    not pytest.importorskip("importlib.util").find_spec("ethosu"), reason="needs edgekit[ethos-u]"
)


def npu_of(one: Target) -> Npu:
    assert one.npu is not None
    return one.npu


@installed
@pytest.mark.parametrize("name", NETWORKS)
def test_every_operator_runs_on_the_npu(name: str) -> None:
    width, side = NETWORKS[name]
    path = network_file(name, width, side, num_classes=1000)
    found = estimate(path, npu_of(target.resolve("ethos-u55-256")[0]))
    assert (found.npu_percent, found.cpu_operators, found.left) == (100.0, 0, ())
    assert all(layer.on_npu for layer in found.layers)
    assert found.latency_ms == pytest.approx(found.cycles / found.clock_mhz / 1e3)
    assert found.flash_bytes < path.stat().st_size
    # vela counts the pooling's additions as multiply-adds too.
    macs = cost(network(name, width=width, resolution=side)).macs
    assert macs <= found.macs <= 1.05 * macs


@installed
@pytest.mark.parametrize("one", NPU_TARGETS, ids=lambda one: one.name)
def test_every_target_is_one_that_vela_has(one: Target) -> None:
    found = estimate(network_file("mobilenet_v1"), npu_of(one))
    assert found.npu_percent == 100.0
    assert found.to_json()["estimator"].startswith("ethos-u-vela ")
    assert found.clock_mhz in (500.0, 1000.0)
    assert f"at {'1 GHz' if found.clock_mhz == 1000 else '500 MHz'}" in one.summary


@installed
def test_operators_that_stay_on_the_processor_are_named_with_the_reason() -> None:
    found = estimate(network_file("mobilenet_v1", precision="fp32"), npu_of(NPU_TARGETS[0]))
    assert found.npu_percent < 100
    assert {"CONV_2D", "DEPTHWISE_CONV_2D"} <= {one.op for one in found.left}
    assert all("Float32" in one.reason for one in found.left)


def test_a_missing_package_is_an_error_that_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(vela, "version", missing)
    with pytest.raises(MissingExtraError, match="ethos-u-vela") as caught:
        estimate(network_file("mobilenet_v1"), npu_of(NPU_TARGETS[0]))
    assert "edgekit[ethos-u]" in caught.value.hint
