"""Search with measurements, on simulated devices and once on this machine."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit import measured_scaling
from edgekit.errors import CheckError, InputError
from edgekit.measure.yardstick import Paired, Yardstick
from edgekit.measured_scaling import scale_measured
from edgekit.models.network import Network
from edgekit.options import Format, Precision
from edgekit.scaling import ScaleOptions
from edgekit.search.work import latency_ms


class Device(Yardstick):
    """A device with prices, and a taste for families, that no predictor knows, and with slow minutes."""

    def __init__(self, seed: int) -> None:
        super().__init__(Path("yardstick.tflite"))
        rng = random.Random(seed)
        base = (0.05, 0.1, 0.01, 0.15, 0.1, 0.02, 4000.0)
        self.prices = tuple(price * math.exp(rng.uniform(-1, 1)) for price in base)
        self.taste = {family: math.exp(rng.uniform(-0.3, 0.3)) for family in ("efficientnet", "mobilenet_v2")}
        self.noise = random.Random(seed)
        self.network: Network | None = None
        self.runs = 0

    def true_ms(self, network: Network) -> float:
        return latency_ms(network, "fp32", self.prices) * self.taste.get(network.family, 1.0)

    def build(self, network: Network, format_: Format, precision: Precision, folder: Path) -> Path:
        self.network = network
        return folder / "network.tflite"

    def time(self, path: Path) -> Paired:
        assert self.network is not None
        self.runs += 1
        slowness = 1.3 if self.runs % 7 in (4, 5) else 1.0
        self._turns_ms.append(slowness)
        measured_ms = self.true_ms(self.network) * math.exp(self.noise.gauss(0, 0.01)) * slowness
        return Paired(measured_ms, slowness)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Callable[[Device], None]:
    """Puts a device where this machine was."""

    def placed(device: Device) -> None:
        monkeypatch.setattr(measured_scaling, "make_trial", device.build)
        monkeypatch.setattr(measured_scaling, "make_yardstick", lambda *_: Path("yardstick.tflite"))
        monkeypatch.setattr(measured_scaling, "Yardstick", lambda *_: device)

    return placed


@pytest.mark.parametrize("seed", range(10))
def test_the_result_meets_the_budget_on_any_device(seed: int, place: Callable[[Device], None]) -> None:
    device = Device(seed)
    place(device)
    budget = math.exp(random.Random(seed).uniform(math.log(5), math.log(100)))
    precision: Precision = "int8" if seed % 2 else "fp32"
    result = scale_measured(
        ScaleOptions([f"{budget:.3f}ms", "30Mparams"], target="host", precision=precision)
    )
    best = result.candidates[0]
    assert best.measured_ms <= budget
    assert best.measured_ms >= 0.9 * budget
    assert device.true_ms(best.candidate.network) <= 1.03 * budget
    assert best.candidate.params <= 30e6
    assert device.runs <= 25
    assert all(one.measured_ms > budget for one in result.missed)
    found = result.to_json(1)["candidates"]
    assert isinstance(found, list)
    assert len(found) == 1
    assert isinstance(found[0], dict)
    assert found[0]["measured_latency_ms"] == pytest.approx(best.measured_ms, abs=1e-3)
    assert found[0]["predicted_latency_ms"] != found[0]["measured_latency_ms"]


def test_a_budget_that_nothing_meets_is_a_failed_check(place: Callable[[Device], None]) -> None:
    place(Device(0))
    with pytest.raises(CheckError, match="nothing meets"):
        scale_measured(ScaleOptions(["0.01ms"], target="host"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ScaleOptions(["300MFLOPs"], target="host"), "--measure needs a latency budget"),
        (ScaleOptions(["20ms"], target="pixel1"), "target pixel1 cannot be measured from here"),
    ],
)
def test_what_cannot_be_measured_is_refused(options: ScaleOptions, message: str) -> None:
    with pytest.raises(InputError, match=message):
        scale_measured(options)


def test_files_are_really_built_and_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="networks are built with torch")
    monkeypatch.setattr(measured_scaling, "_FIRST", (("mobilenet_v1", 0.25, 64),))
    result = scale_measured(
        ScaleOptions(["40ms", "15MMACs"], families=["mobilenet_v1"], target="host", precision="fp32")
    )
    best = result.candidates[0]
    assert 0 < best.measured_ms <= 40
    assert best.candidate.macs <= 15e6
