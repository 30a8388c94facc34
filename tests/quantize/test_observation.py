"""What calibration keeps of a network, against the network run as a whole."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edgekit.errors import InputError
from edgekit.graph.run import GraphRunner
from edgekit.quantize import observation
from edgekit.quantize.observation import observe
from graphs import NETWORKS, FloatArray, GraphBuilder

SHAPE = (1, 3, 24, 24)


def network(name: str) -> ir.Model:
    builder = GraphBuilder(SHAPE)
    return builder.model(NETWORKS[name](builder))


def images(count: int) -> FloatArray:
    return np.random.default_rng(0).standard_normal((count, *SHAPE)).astype(np.float32)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("budget_bytes", [1, 20_000, 1 << 30])
def test_stretches_see_what_the_whole_network_computes(
    name: str, budget_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observation, "_OBSERVED_BYTES", budget_bytes)
    model, pictures = network(name), images(3)
    found = observe(model, pictures)
    assert set(found.observers) == set(found.plan.values)
    outputs = GraphRunner(model, found.plan.values).run(pictures[:, 0])
    for value, observer in found.observers.items():
        assert observer.low == pytest.approx(outputs[value].min(), rel=1e-5, abs=1e-6)
        assert observer.high == pytest.approx(outputs[value].max(), rel=1e-5, abs=1e-6)
        assert observer.counts.sum() == outputs[value].size


def test_a_bounded_number_of_images_is_carried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observation, "_CARRIED_IMAGES", (2, 5))
    pictures = images(9)
    found = observe(network("plain"), iter(pictures))
    assert found.images == 9
    np.testing.assert_array_equal(found.carried, pictures[:5, 0])
    largest = max(4 * 8 * 12 * 12, 4 * 3 * 24 * 24)
    monkeypatch.setattr(observation, "_CARRIED_BYTES", 3 * largest)
    assert len(observe(network("plain"), pictures).carried) == 3
    monkeypatch.setattr(observation, "_CARRIED_BYTES", 1)
    assert len(observe(network("plain"), pictures).carried) == 2


def test_progress_counts_images() -> None:
    seen: list[tuple[str, int, int]] = []
    observe(network("plain"), images(3), progress=lambda *event: seen.append(event), total=7)
    assert seen == [("calibrate", done, 7) for done in (1, 2, 3)]


def test_no_image_is_an_error() -> None:
    with pytest.raises(InputError, match="no calibration image"):
        observe(network("plain"), [])


def test_an_overflow_names_the_first_layer_that_has_it() -> None:
    builder = GraphBuilder(SHAPE)
    x = builder.conv(builder.image, 4)
    huge = builder.op("Mul", builder.op("Mul", x, np.float32(1e30), name="stem.scale"), np.float32(1e30))
    model = builder.model(builder.conv(huge, 4))
    with pytest.raises(InputError, match=r"activation 'layer2\.mul' is not finite"):
        observe(model, images(1))


def test_images_that_are_not_finite_are_said_to_be() -> None:
    with pytest.raises(InputError, match="'image' is not finite"):
        observe(network("plain"), np.full((1, *SHAPE), np.nan, np.float32))
