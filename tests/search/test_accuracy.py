"""The laws of accuracy: fitted to what is published, monotone, smooth, and honest about their reach."""

from __future__ import annotations

import csv
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.models import zoo
from edgekit.search import accuracy
from edgekit.search.accuracy import Law, Point, laws, network_of, point_of, predict
from edgekit.search.accuracy_fit import fit_laws, leave_one_out, rank_correlation
from edgekit.search.space import SPACES

OWN_SLOPES = [law for law in laws() if law.kind != "borrowed"]
MOST_ERROR = {"mobilenet_v1": 0.4, "mobilenet_v2": 0.4, "efficientnet_b0": 0.3, "efficientnet_lite0": 0.3}

by_reference = pytest.mark.parametrize("law", laws(), ids=lambda law: law.reference)
fitted = pytest.mark.parametrize("law", OWN_SLOPES, ids=lambda law: law.reference)


def test_every_network_of_the_search_has_a_law() -> None:
    for name in (space.model for space in SPACES):
        law = accuracy.law_of(name)
        assert law is not None
        assert zoo.family_of(law.reference) == zoo.family_of(name)


def test_networks_without_a_law_are_neither_predicted_nor_searched() -> None:
    assert predict(zoo.network("resnet50")) is None
    assert {zoo.family_of(space.model) for space in SPACES} == {
        zoo.family_of(law.reference) for law in laws()
    }


def test_the_stored_coefficients_are_the_fit_to_the_stored_rows() -> None:
    assert fit_laws(laws()) == laws()


@fitted
def test_rows_left_out_are_predicted(law: Law) -> None:
    left_out = leave_one_out(law)
    errors = [abs(one.error) for one in left_out]
    assert sum(errors) / len(errors) <= MOST_ERROR[law.reference]
    assert rank_correlation([(one.predicted, one.row.top1) for one in left_out]) >= 0.99
    assert law.leave_one_out is not None
    assert law.leave_one_out.mean == pytest.approx(sum(errors) / len(errors), abs=1e-3)


@by_reference
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_more_never_predicts_less(law: Law, data: st.DataObject) -> None:
    ratio = st.floats(0.05, 8.0)
    point = Point(data.draw(ratio), data.draw(ratio), data.draw(ratio))
    grown = Point(*(one * data.draw(st.floats(1.0, 3.0)) for one in point))
    assert 0 < law.top1(point) <= law.top1(grown) < 100


@by_reference
def test_predictions_are_smooth(law: Law) -> None:
    for axis in range(3):
        steps = [0.2 * 1.01**index for index in range(300)]
        top1 = [law.top1(Point(*(step if axis == each else 1.0 for each in range(3)))) for step in steps]
        gains = [after - before for before, after in itertools.pairwise(top1)]
        bends = [abs(after - before) for before, after in itertools.pairwise(gains)]
        assert max(gains) < 1.0
        assert max(bends) < 0.05


@pytest.mark.parametrize("name", ["mobilenet_v1", "mobilenet_v2", "efficientnet_b0", "efficientnet_lite0"])
@pytest.mark.parametrize("field", ["width", "depth", "resolution"])
def test_networks_are_ordered_as_their_scales(name: str, field: str) -> None:
    values = range(64, 321, 4) if field == "resolution" else [step / 50 for step in range(10, 150)]
    found = [predict(zoo.network(name, **{field: value})) for value in values]  # type: ignore[arg-type]
    top1 = [one.top1 for one in found if one]
    assert len(top1) == len(values)
    assert top1 == sorted(top1)


@by_reference
def test_published_scales_do_not_extrapolate(law: Law) -> None:
    for row in law.rows:
        found = law.predict(network_of(row))
        assert not found.extrapolates
        assert found.top1 == pytest.approx(row.top1, abs=1.3)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("mobilenet_v2", {"width": 3.0}),
        ("mobilenet_v2", {"resolution": 448}),
        ("mobilenet_v2", {"depth": 2.0}),
        ("mobilenet_v1", {"width": 0.1, "resolution": 64}),
        ("efficientnet_b0", {"width": 0.5, "depth": 0.5, "resolution": 128}),
        ("efficientnet_b0", {"resolution": 600}),
        ("efficientnet_lite0", {"width": 2.0, "depth": 3.0, "resolution": 400}),
        ("squeezenet1_1", {"width": 0.5}),
    ],
)
def test_beyond_the_published_scales_the_error_grows(name: str, change: dict[str, float]) -> None:
    near, far = predict(zoo.network(name)), predict(zoo.network(name, **change))  # type: ignore[arg-type]
    assert near is not None
    assert far is not None
    assert far.extrapolates
    assert far.error > near.error


@pytest.mark.parametrize("change", [{"num_classes": 10}, {"in_channels": 1}])
def test_other_tasks_are_not_predicted(change: dict[str, int]) -> None:
    assert predict(zoo.network("mobilenet_v2", **change)) is None  # type: ignore[arg-type]


def test_effective_width_and_depth_are_one_at_the_reference() -> None:
    for law in laws():
        assert point_of(zoo.network(law.reference), law.reference) == (1.0, 1.0, 1.0)
    # 1.4 times as wide: 582 M multiply-adds against 300 M (slim/nets/mobilenet/README.md).
    assert point_of(zoo.network("mobilenet_v2", width=1.4), "mobilenet_v2").width == pytest.approx(
        (582 / 300) ** 0.5, rel=0.01
    )


def test_every_row_is_published(shared_dir: Path) -> None:
    with (shared_dir / "reference" / "imagenet_accuracy.csv").open(encoding="utf-8", newline="") as file:
        published = {(row["family"], row["source"], float(row["top1"])) for row in csv.DictReader(file)}
    for law in laws():
        for row in law.rows:
            assert (zoo.family_of(row.model), law.source, row.top1) in published


def test_rank_correlation_of_ties_is_between_none_and_one() -> None:
    assert rank_correlation([(1, 10), (2, 20), (3, 30)]) == pytest.approx(1)
    assert rank_correlation([(1, 30), (2, 20), (3, 10)]) == pytest.approx(-1)
    assert rank_correlation([(1, 1), (1, 2), (2, 3)]) == pytest.approx(0.8660254, rel=1e-6)
