"""Kinds of work, against the cost model and against counting by hand."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.models import zoo
from edgekit.models.cost import cost
from edgekit.options import Precision
from edgekit.search.work import KINDS, latency_ms, work

every_network = pytest.mark.parametrize("name", zoo.names())


def amounts(name: str, precision: Precision = "fp32", **scale: float) -> dict[str, float]:
    network = zoo.network(name, **scale)  # type: ignore[arg-type]
    return dict(zip(KINDS, work(network, precision), strict=True))


@every_network
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_multiply_adds_and_weights_are_those_of_the_cost_model(name: str, precision: Precision) -> None:
    costs, found = cost(zoo.network(name), precision), amounts(name, precision)
    rows = costs.layers()
    assert found["mac"] == costs.macs
    biases = sum(row.biases for row in rows if row.op == "Gemm")  # fully connected layers leave them out
    assert costs.weight_bytes - found["weight_byte"] == 4 * biases
    assert found["operator"] == len(rows)


def test_depthwise_and_full_convolutions_are_told_apart() -> None:
    found = amounts("mobilenet_v1")
    # MobileNets (arXiv 1704.04861), table 2: 3.06 % of multiply-adds are depthwise.
    assert found["depthwise_mac"] / found["mac"] == pytest.approx(0.0306, abs=3e-4)


def test_the_stem_of_mobilenet_v1_by_hand() -> None:
    found = amounts("mobilenet_v1")
    assert found["convolution_mac"] == 112 * 112 * 32 * 27
    # Every convolution reads what the one before wrote: (output channels, size) from the image on.
    rows = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]
    size, channels = 112, 32
    tensors = [3 * 224**2, channels * size**2]
    for out_channels, stride in rows:
        size //= stride
        tensors += [channels * size**2, out_channels * size**2]
        channels = out_channels
    traffic = sum(before + after for before, after in itertools.pairwise(tensors))
    pooling = channels * size**2 + channels
    assert found["activation_byte"] == 4 * (traffic + pooling)
    assert found["elementwise_byte"] == 4 * pooling


@every_network
def test_int8_moves_a_quarter_of_the_bytes(name: str) -> None:
    wide, narrow = amounts(name, "fp32"), amounts(name, "int8")
    assert narrow["activation_byte"] * 4 == wide["activation_byte"]
    assert narrow["mac"] == wide["mac"]


@every_network
def test_latency_is_work_times_prices(name: str) -> None:
    prices = tuple(0.1 * index + 0.05 for index in range(len(KINDS)))
    network = zoo.network(name)
    expected = sum(a * b for a, b in zip(work(network, "fp32"), prices, strict=True)) * 1e-6
    assert latency_ms(network, "fp32", prices) == pytest.approx(expected, rel=1e-12)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_larger_network_never_takes_less_of_any_kind(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["mobilenet_v1", "mobilenet_v2", "efficientnet_b0", "squeezenet1_1"]))
    # Below, stages round to equal channels, which makes residual blocks of blocks that are none.
    width, resolution = data.draw(st.floats(0.4, 2.0)), data.draw(st.integers(64, 320))
    grown = width * data.draw(st.floats(1.0, 1.5)), resolution + data.draw(st.integers(0, 100))
    smaller = amounts(name, width=width, resolution=resolution)
    larger = amounts(name, width=grown[0], resolution=grown[1])
    assert all(smaller[kind] <= larger[kind] for kind in KINDS)
