"""Fitting prices of kinds of layers: known prices are found again, and errors are of what was left out."""

from __future__ import annotations

import random

import msgspec
import pytest

from edgekit.errors import InputError
from edgekit.latency_model import LatencyModel, LatencyRow
from edgekit.machine_fit import SPREAD
from edgekit.models import zoo
from edgekit.models.cost import cost
from edgekit.models.deployed import steps_of
from edgekit.models.network import Network
from edgekit.search.latency import predict, prices_of
from edgekit.search.layer_fit import Timed, fit_layers, work_of_layers
from edgekit.search.layer_work import LAYER_KINDS, block_of, network_amounts, step_amounts
from edgekit.search.probes import probes
from edgekit.search.work import KINDS, latency_ms

SCALES = [(model, width, resolution) for model, scales in SPREAD for width, resolution in scales]
NETWORKS = [zoo.network(model, width=width, resolution=resolution) for model, width, resolution in SCALES]
SPARE = ("pointwise_spare_mac", "convolution_spare_mac")  # int8 is not charged for them
PRICES = {
    **dict.fromkeys(LAYER_KINDS, 0.05),
    **dict.fromkeys(SPARE, 0.0),
    "depthwise_mac": 0.2,
    "operator": 900.0,
    "weight": 0.0,
}


def model_of(noise: float = 0.0) -> LatencyModel:
    rng = random.Random(0)
    rows = tuple(
        LatencyRow(
            model=network.name,
            width=network.scale.width,
            resolution=network.scale.resolution,
            latency_ms=latency_ms(network, "int8", tuple(PRICES[kind] for kind in LAYER_KINDS))
            * (1 + rng.uniform(-noise, noise)),
        )
        for network in NETWORKS
    )
    return LatencyModel(
        precision="int8", num_threads=1, runtime="litert", source="made up", detail="layers", rows=rows
    )


def made(network: Network, prices: dict[str, float]) -> tuple[float, dict[str, float]]:
    """Milliseconds of a network and of its layers on a machine of these prices."""
    layers = {
        layer: 1e-6 * sum(prices[kind] * amount for kind, amount in zip(LAYER_KINDS, amounts, strict=True))
        for layer, amounts in work_of_layers(network).items()
    }
    return sum(layers.values()), layers


def model_of_machine(prices: dict[str, float]) -> tuple[LatencyModel, list[dict[str, float]]]:
    """What is measured there, and the layers' milliseconds."""
    times = [made(network, prices) for network in NETWORKS]
    return model_with([ms for ms, _ in times]), [layers for _, layers in times]


def model_with(times_ms: list[float]) -> LatencyModel:
    model = model_of()
    rows = zip(model.rows, times_ms, strict=True)
    return msgspec.structs.replace(
        model, rows=tuple(msgspec.structs.replace(row, latency_ms=ms) for row, ms in rows)
    )


def test_only_float_is_charged_for_pixels_that_do_not_fill_a_tile() -> None:
    model, layers = model_of_machine(PRICES | dict.fromkeys(SPARE, 0.5))
    fitted = {
        precision: fit_layers(msgspec.structs.replace(model, precision=precision), layers).nanoseconds
        for precision in ("fp32", "int8")
    }
    assert [fitted["int8"][kind] for kind in SPARE] == [0, 0]
    assert [fitted["fp32"][kind] for kind in SPARE] == pytest.approx([0.5, 0.5], rel=0.1)


def test_a_machine_that_follows_the_law_is_predicted() -> None:
    fitted = fit_layers(model_of())
    assert fitted.leave_one_out is not None
    assert fitted.leave_one_out.median < 0.5
    assert fitted.leave_one_out.maximum < 3.0
    assert fitted.leave_one_out.macs_only_median > 10.0
    assert fitted.held_out_families is not None
    assert fitted.held_out_families.median < 3.0
    unseen = zoo.network("mobilenet_v2", width=0.6, resolution=144)
    truth = latency_ms(unseen, "int8", tuple(PRICES[kind] for kind in LAYER_KINDS))
    assert predict(unseen, fitted).latency_ms == pytest.approx(truth, rel=0.02)


def test_errors_are_of_rows_that_were_left_out() -> None:
    """With noise of up to 5 %, nothing can be predicted exactly, but nothing is far off."""
    errors = fit_layers(model_of(noise=0.05)).leave_one_out
    assert errors is not None
    assert 1.0 < errors.median < 6.0


def test_prices_are_never_negative_so_that_more_work_takes_no_less_time() -> None:
    prices = prices_of(fit_layers(model_of(noise=0.2)))
    assert len(prices) == len(LAYER_KINDS) != len(KINDS)
    assert min(prices) >= 0


@pytest.mark.parametrize("network", NETWORKS[::6], ids=lambda one: f"{one.name} {one.scale.width:g}")
def test_every_multiply_add_is_in_one_kind(network: Network) -> None:
    """Full packs count once; a pack that is not full makes the kinds' sum the larger."""
    amounts = dict(zip(LAYER_KINDS, network_amounts(network), strict=True))
    kinds = ("pointwise_mac", "convolution_mac", "depthwise_mac", "grouped_mac", "linear_weight")
    counted = sum(amounts[kind] for kind in kinds) + amounts["normalized_element"]
    assert cost(network).macs <= counted < 1.5 * cost(network).macs
    assert amounts["operator"] == len(cost(network).layers())


def test_a_block_has_the_work_of_its_layers() -> None:
    for run in NETWORKS[10].runs:
        areas = tuple(run.site.areas)
        block = block_of(run.site.structure, areas)
        steps = [step_amounts(step, areas) for step in steps_of(run.site.structure)]
        for kind, amount in zip(LAYER_KINDS, block.amounts, strict=False):
            assert amount == sum(one.get(kind, 0.0) for one in steps)


def test_a_window_fills_packs_at_each_of_its_places() -> None:
    """The first layer of EfficientNet-Lite0: 3 × 3 pixels of 3 channels, which take a pack of 8 each."""
    amounts = work_of_layers(zoo.network("efficientnet_lite0"))["stem.conv"]
    work = dict(zip(LAYER_KINDS, amounts, strict=True))
    assert work["convolution_narrow_mac"] == 112 * 112 * 32 * 9 * 8
    assert work["convolution_mac"] == 112 * 112 * 32 * 28
    assert work["convolution_uneven_mac"] == 0


def test_what_does_not_fill_packs_of_eight_and_what_is_padded_is_told_apart() -> None:
    """The stem of ShuffleNet at half its width: 12 channels, and a pool that strides over a padded frame."""
    layers = work_of_layers(zoo.network("shufflenet_v2_x1_0", width=0.5))
    stem, pool = (dict(zip(LAYER_KINDS, layers[name], strict=True)) for name in ("stem.conv", "pool.pool"))
    assert stem["convolution_odd_mac"] == stem["convolution_wide_mac"] == 112 * 112 * 16 * 28
    assert pool["padded_pixel"] == 112 * 112
    assert pool["padded_element"] == 112 * 112 * 12
    full = work_of_layers(zoo.network("mobilenet_v2"))["stem.conv"]
    assert dict(zip(LAYER_KINDS, full, strict=True))["convolution_odd_mac"] == 0


def test_the_work_of_the_layers_is_that_of_the_network() -> None:
    for network in NETWORKS[::9]:
        layers = work_of_layers(network)
        assert list(layers) == [row.name for row in cost(network).layers()]
        assert [sum(column) for column in zip(*layers.values(), strict=True)] == pytest.approx(
            network_amounts(network)
        )


def test_weights_that_no_cache_holds_are_told_from_those_that_stay() -> None:
    """A machine whose cache holds a million weights: a price for each alone would err on small and large."""
    prices = PRICES | {"weight_beyond_1048576": 2.0}
    model, layers_ms = model_of_machine(prices)
    fitted = fit_layers(model, layers_ms)
    assert fitted.leave_one_out is not None
    assert fitted.leave_one_out.maximum < 3
    for network, row in zip(NETWORKS, model.rows, strict=True):
        truth = latency_ms(network, "int8", tuple(prices[kind] for kind in LAYER_KINDS))
        assert predict(network, fitted).latency_ms == pytest.approx(row.latency_ms, rel=0.03)
        assert truth == pytest.approx(row.latency_ms)


def test_probes_tell_what_only_one_family_has() -> None:
    """ShuffleNet alone shuffles: without it, nothing but a probe says what that takes."""
    prices = PRICES | {"shuffled_element": 20.0}
    model, layers_ms = model_of_machine(prices)
    probed = [Timed(probe, *made(probe, prices)) for probe in probes(8)]
    without = fit_layers(model, layers_ms).held_out_families
    with_probes = fit_layers(model, layers_ms, probed).held_out_families
    assert without is not None
    assert with_probes is not None
    assert without.maximum > 20
    assert with_probes.maximum < 5


def test_prices_of_another_version_are_not_taken() -> None:
    fitted = fit_layers(model_of())
    prices = {kind: price for kind, price in fitted.nanoseconds.items() if kind != "shuffled_element"}
    older = msgspec.structs.replace(fitted, nanoseconds=prices)
    with pytest.raises(InputError, match="no price for 'shuffled_element'") as caught:
        predict(NETWORKS[0], older)
    assert "targets fit host" in caught.value.hint


def test_layers_tell_of_families_that_were_not_seen() -> None:
    """A machine that is quicker with large products: no price is right, and the layers find better ones."""
    rng = random.Random(1)
    layers_ms = []
    for network in NETWORKS:
        work = work_of_layers(network)
        layers_ms.append(
            {
                layer: ms * (1 + 5e4 / (1e5 + max(work[layer]))) * (1 + rng.uniform(-0.05, 0.05))
                for layer, ms in made(network, PRICES)[1].items()
            }
        )
    model = model_with([sum(layers.values()) for layers in layers_ms])
    with_layers, without = fit_layers(model, layers_ms).held_out_families, fit_layers(model).held_out_families
    assert with_layers is not None
    assert without is not None
    assert with_layers.mean < without.mean
