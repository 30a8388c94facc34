"""Every chart is what the schema of Vega-Lite allows, as another library has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from edgekit.measure.record import encode
from edgekit.report import curve, drawing, front, layers, operators
from edgekit.reporting import ReportOptions, report
from made_records import everything, latency

POINTS = [
    operators.OperatorPoint("stem", "Conv", 1.0, 0.5, 10_000_000, 1_000_000),
    operators.OperatorPoint("classifier", "Fully Connected (NC, QS8) GEMM", 1.0, 0.5, 2_000_000, 2_000_000),
]


def charts_of(folder: Path) -> dict[str, Mapping[str, Any]]:
    """Those of a report, and of the comparison of two sets of records."""
    old, new = folder / "old.jsonl", folder / "new.jsonl"
    old.write_bytes(b"".join(map(encode, [*everything(), latency(10.0)])))
    new.write_bytes(b"".join(map(encode, [latency(15.0)])))
    whole = report([old], folder / "whole.md").document
    change = report([old, new], folder / "change.md", ReportOptions(compare=True)).document
    sections = [*whole.sections, *change.sections]
    charts = {one.key: one.chart for section in sections for one in section.figures if one.chart}
    return {re.sub(r"-\d+$", "", name): chart for name, chart in charts.items()}  # one of each kind


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Mapping[str, Any]]:
    """What the pictures for documents hand over to be drawn, by their files' names."""
    found: dict[str, Mapping[str, Any]] = {}
    monkeypatch.setattr(drawing, "draw", lambda path, spec: found.__setitem__(path.name, spec))
    return found


def test_charts_keep_the_schema(tmp_path: Path, drawn: dict[str, Mapping[str, Any]]) -> None:
    altair = pytest.importorskip("altair", reason="needs the extra 'dev'")
    operators.draw(Path("roof.svg"), POINTS, title="t", peak_gmacs_per_s=100.0, bandwidth_gb_per_s=10.0)
    operators.draw(Path("bars.svg"), POINTS, title="t")
    points = [front.FrontPoint("f", "l", 1e6, 70.0, True), front.FrontPoint("g", "l", 2e6, 71.0, False)]
    front.draw(Path("front.svg"), points, cost_title="c", budget=1.5e6, title="t")
    curve.draw(Path("curve.svg"), [curve.CountPoint("photographs", 1, 10.0, 50.0)], title="t")
    layers.draw(Path("layers.svg"), [layers.LayerPoint("a", 10.0, 11.0, 12.0)], title="t")
    charts = drawn | charts_of(tmp_path)
    assert len(charts) >= 11
    for name, chart in charts.items():
        altair.Chart.from_dict({**chart, "datasets": {}}).to_dict()
        assert chart["$schema"].split("/")[-1].split(".")[0] == altair.SCHEMA_VERSION.split(".")[0], name


def test_the_schema_refuses_what_it_does_not_know(drawn: dict[str, Mapping[str, Any]]) -> None:
    altair = pytest.importorskip("altair", reason="needs the extra 'dev'")
    jsonschema = pytest.importorskip("jsonschema", reason="comes with altair")
    operators.draw(Path("bars.svg"), POINTS, title="t")
    chart = {**drawn["bars.svg"], "datasets": {}, "mark": {"type": "bar", "strokeWidht": 1}}
    with pytest.raises(jsonschema.ValidationError):
        altair.Chart.from_dict(chart).to_dict()


def test_a_legend_has_room_for_whole_names(drawn: dict[str, Mapping[str, Any]]) -> None:
    operators.draw(Path("roof.svg"), POINTS, title="t", peak_gmacs_per_s=100.0, bandwidth_gb_per_s=10.0)
    legend = drawn["roof.svg"]["config"]["legend"]
    assert (legend["labelLimit"], legend["columns"]) == (0, 2)
