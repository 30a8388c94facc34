"""``edgekit profile``."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.measure import record
from edgekit.models import zoo
from edgekit.models.cost import cost

Run = Callable[..., Any]
MODEL = ("mobilenet_v1", "--width", "0.25", "--resolution", "96", "--num-runs", "10")


@pytest.fixture
def network() -> Any:
    return zoo.network("mobilenet_v1", width=0.25, resolution=96)


def test_a_network_is_made_profiled_and_recorded(run: Run, tmp_path: Path, network: Any) -> None:
    results, picture = tmp_path / "results.jsonl", tmp_path / "roofline.svg"
    finished = run("profile", *MODEL, "--json", "-o", results, "--plot", picture)
    assert finished.code == 0
    assert "made for this profile alone" in finished.err
    (written,) = record.read(results)
    assert isinstance(written, record.ProfileRecord)
    assert (written.artifact, written.target, written.device) == ("mobilenet_v1", "host", "local")
    assert {one.layer for one in written.operators if one.macs} == {
        row.name for row in cost(network).layers() if row.macs
    }
    assert sum(one.share for one in written.operators) == pytest.approx(1)
    assert "</svg>" in picture.read_text(encoding="utf-8")


def test_the_table_has_every_layer_and_the_slowest_first_on_demand(run: Run, network: Any) -> None:
    lines = run("profile", *MODEL, "--precision", "fp32", "--target", "onnx").out.splitlines()
    names = [line.split()[0] for line in lines if line]
    missing = [row.name for row in cost(network).layers() if row.macs and row.name not in names]
    assert missing == []
    top = run("profile", *MODEL, "--top", "3").out.splitlines()
    # By its three digits: what multiplies nothing has no numbers behind its share.
    times = [float(ms) for line in top[1:4] for ms in re.findall(r"  (\d+\.\d{3})  ", line)]
    assert len(times) == 3
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("target", ["pixel1", "rpi4"])
def test_another_device_cannot_be_profiled_from_here(run: Run, target: str) -> None:
    finished = run("profile", "mobilenet_v1", "--target", target)
    assert finished.code == 2
    assert f"target {target} cannot be profiled from here" in finished.err


def test_a_file_that_is_not_there(run: Run, tmp_path: Path) -> None:
    finished = run("profile", tmp_path / "model.tflite")
    assert finished.code == 2
    assert "is not a file" in finished.err


def test_a_microcontroller_is_estimated_without_a_time(run: Run) -> None:
    finished = run("profile", *MODEL, "--target", "cortex-m7-512kb", "--top", "2")
    assert finished.code == 0
    assert "unknown without the board" in finished.out
    assert "arena planned" in finished.out
    assert len(finished.out.split("\n\n")[0].splitlines()) == 3


def test_an_npu_is_estimated_with_cycles_and_milliseconds(run: Run) -> None:
    pytest.importorskip("ethosu", reason="needs edgekit[ethos-u]")
    document = json.loads(run("profile", *MODEL, "--target", "ethos-u55-256", "--json").out)
    assert document["npu"]["npu_percent"] == 100.0
    assert sum(one["ms"] for one in document["operators"]) == pytest.approx(
        document["npu"]["latency_ms"], 0.01
    )


@pytest.mark.parametrize("flag", ["--plot", "-o"])
def test_an_estimate_is_no_measurement(run: Run, tmp_path: Path, flag: str) -> None:
    finished = run("profile", *MODEL, "--target", "cortex-m7-512kb", flag, tmp_path / "x.svg")
    assert finished.code == 2
    assert "results files and pictures are of measurements" in finished.err
