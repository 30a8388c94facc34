"""Latency models of the targets: fitted to what is published, non-negative, and silent where nothing is."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from edgekit import target
from edgekit.errors import InputError, UnsupportedError
from edgekit.latency_model import LatencyModel
from edgekit.models import zoo
from edgekit.options import Precision
from edgekit.search.latency import model_for, predict, prices_of
from edgekit.search.latency_fit import fit_target, leave_one_out, network_of, residuals
from edgekit.search.work import KINDS
from edgekit.target import Target

TARGETS = [one for one in target.all_targets() if one.latency]
MODELS = [(one, model) for one in TARGETS for model in one.latency]
ENOUGH_ROWS = 10

every_target = pytest.mark.parametrize("one", TARGETS, ids=lambda one: one.name)
every_model = pytest.mark.parametrize(
    ("one", "model"),
    MODELS,
    ids=[f"{one.name}-{model.precision}-{model.num_threads}" for one, model in MODELS],
)


def test_phones_and_boards_can_be_predicted_in_fp32_and_int8() -> None:
    names = {one.name for one in TARGETS}
    assert names >= {"pixel1", "pixel2", "pixel3", "pixel4", "rpi3", "rpi4", "rpi5", "rpi-zero2"}
    for one in TARGETS:
        assert {model.precision for model in one.latency} == {"fp32", "int8"}


@every_target
def test_the_stored_prices_are_the_fit_to_the_stored_rows(one: Target) -> None:
    assert fit_target(one) == one


@every_model
def test_more_work_never_costs_less_time(one: Target, model: LatencyModel) -> None:
    assert tuple(model.nanoseconds) == KINDS
    assert min(prices_of(model)) >= 0
    assert max(prices_of(model)) > 0


@every_model
def test_rows_left_out_are_predicted(one: Target, model: LatencyModel) -> None:
    others = [other for other in TARGETS if other.name != one.name]
    errors = sorted(abs(each.error_percent) for each in leave_one_out(model, others))
    stated = model.leave_one_out
    assert stated is not None
    assert stated.maximum == pytest.approx(errors[-1], abs=0.1)
    if len(errors) >= ENOUGH_ROWS:
        assert stated.median <= 4
        assert stated.within_10 >= 92
        assert stated.median < stated.macs_only_median / 2


@every_model
def test_rows_are_near_their_predictions(one: Target, model: LatencyModel) -> None:
    prices = prices_of(model)
    assert prices == tuple(model.nanoseconds[kind] for kind in KINDS)
    for each in residuals(model):
        assert not predict(network_of(each.row), model).extrapolates
        assert abs(each.error_percent) < 35


@every_model
def test_every_row_is_published(one: Target, model: LatencyModel, shared_dir: Path) -> None:
    with (shared_dir / "reference" / "mobile_latency.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] == model.source]
    published = {(row["family"], row["runtime"], float(row["latency_ms"])) for row in rows}
    for row in model.rows:
        assert (zoo.family_of(row.model), model.runtime, row.latency_ms) in published


def test_an_unseen_family_extrapolates_with_a_larger_error() -> None:
    (pixel1,) = target.resolve("pixel1")
    model = model_for(pixel1, "fp32", None)
    seen, unseen = (predict(zoo.network(name), model) for name in ("mobilenet_v2", "mobilenet_v1"))
    assert not seen.extrapolates
    assert unseen.extrapolates
    assert unseen.error_percent > seen.error_percent
    # MobileNetV2 paper (arXiv 1801.04381), table 4: 113 ms on this phone, which no row of it says.
    assert unseen.latency_ms == pytest.approx(113, rel=unseen.error_percent / 100)


@pytest.mark.parametrize(
    ("name", "precision", "num_threads"),
    [("host", "int8", None), ("pixel1", "fp16", None), ("pixel2", "int8", 4)],
)
def test_what_nobody_measured_is_not_guessed(
    name: str, precision: Precision, num_threads: int | None
) -> None:
    (one,) = target.resolve(name)
    with pytest.raises(UnsupportedError, match="cannot be predicted") as caught:
        model_for(one, precision, num_threads)
    assert "measure" in caught.value.hint


def test_a_target_without_measurements_cannot_be_fitted() -> None:
    (host,) = target.resolve("host")
    with pytest.raises(InputError, match="no measurements"):
        fit_target(host)


def test_a_written_target_is_read_as_itself(tmp_path: Path) -> None:
    for one in TARGETS:
        target.write(tmp_path / f"{one.name}.toml", one)
        assert target.resolve(str(tmp_path / f"{one.name}.toml")) == (one,)
