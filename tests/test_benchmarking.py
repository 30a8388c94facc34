"""Files on a device become records, ratios and regressions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import edgekit
from edgekit.benchmarking import BenchmarkResult, find_regressions
from edgekit.devices.fake import FakeDevice
from edgekit.errors import DeviceError, InputError, ModelFileError, UnsupportedError
from edgekit.measure import record
from edgekit.measure.results_file import append
from edgekit.measure.session import BenchmarkOptions, Protocol, measure
from edgekit.options import ExportOptions
from edgekit.pipeline import export
from small_models import save_onnx

FAKE = BenchmarkOptions(device="fake:one")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_onnx(tmp_path / "net.onnx")


def on_fake(paths: list[Path], ms: float, noise: float = 0.002) -> BenchmarkResult:
    return edgekit.benchmark(paths, FAKE, device=FakeDevice("fake:one", ms, noise))


def test_a_record_has_all_that_is_needed_to_repeat_it(model: Path) -> None:
    options = BenchmarkOptions(device="fake:one", num_threads=2, num_runs=60, sustained_s=None, target="onnx")
    (found,) = edgekit.benchmark([model], options).records
    assert found.command[:3] == ("edgekit", "benchmark", model.as_posix())
    arguments = dict(zip(found.command[3::2], found.command[4::2], strict=True))
    assert arguments == {
        "--target": "onnx",
        "--device": "fake:one",
        "--num-threads": "2",
        "--num-runs": "60",
        "--cpus": "auto",
    }
    assert (found.format, found.num_threads) == ("onnx", 2)
    assert (found.size_bytes, len(found.samples_ms)) == (model.stat().st_size, 60)
    assert sum(found.rounds) == 60
    assert found.environment.edgekit == edgekit.__version__
    assert not found.noisy
    assert record.decode(record.encode(found)) == found


def test_defaults_are_said_too_because_they_may_change(model: Path) -> None:
    (found,) = edgekit.benchmark([model], FAKE).records
    words = " ".join(found.command)
    assert "--num-threads 1" in words
    assert "--seconds 5" in words
    assert "--num-runs" not in words


def test_what_answers_wrongly_is_not_timed_unless_forced(model: Path) -> None:
    wrong = "fake:one?deviation=0.38"
    with pytest.raises(DeviceError, match=r"net\.onnx answers otherwise .* differ by 38\.0%") as caught:
        edgekit.benchmark([model], BenchmarkOptions(device=wrong))
    assert "--force" in caught.value.hint
    (forced,) = edgekit.benchmark([model], BenchmarkOptions(device=wrong, force=True)).records
    assert forced.deviation == 0.38
    assert any("answers otherwise" in sentence for sentence in forced.warnings)
    (right,) = edgekit.benchmark([model], BenchmarkOptions(device="fake:one?deviation=0.004")).records
    assert not right.warnings


def test_the_manifest_tells_what_network_is_in_a_file(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    options = ExportOptions(
        target="onnx",
        precision="fp32",
        out_dir=tmp_path,
        weights="random",
        scale=edgekit.ScaleChange(width=0.25, resolution=32),
    )
    (artifact,) = export("mobilenet_v2", options).artifacts
    (found,) = edgekit.benchmark([artifact.path], FAKE).records
    assert found.sha256 == artifact.sha256
    assert found.model
    assert (found.model.name, found.model.family, found.model.width) == ("mobilenet_v2", "mobilenet_v2", 0.25)
    assert found.model.weights == "random"
    assert found.model.macs == edgekit.describe("mobilenet_v2", options.scale).totals.macs


def test_this_machine_is_measured_by_default(model: Path) -> None:
    options = BenchmarkOptions(num_runs=20, warmup_runs=2)
    (found,) = edgekit.benchmark([model], options).records
    assert found.device == "local"
    assert found.environment.cores
    assert found.peak_memory_bytes
    assert found.runtime_memory_bytes is None or 0 < found.runtime_memory_bytes < found.peak_memory_bytes
    assert found.latency_ms.min <= found.latency_ms.median <= found.latency_ms.p90
    assert 0.001 < found.latency_ms.min < 100
    assert found.load_ms > 0 < found.first_inference_ms


def test_files_of_one_session_are_compared_with_the_first(model: Path, tmp_path: Path) -> None:
    other = save_onnx(tmp_path / "other.onnx", seed=1)
    result = on_fake([model, other], ms=5.0)
    (comparison,) = result.comparisons
    assert (comparison.reference, comparison.artifact) == (model.as_posix(), other.as_posix())
    assert comparison.ratio.value == pytest.approx(1.0, abs=0.01)
    assert not comparison.ratio.is_real
    assert len({one.session for one in result.records}) == 1
    assert json.loads(json.dumps(result.to_json()))["comparisons"][0]["is_real"] is False


def test_a_real_difference_is_called_real(tmp_path: Path) -> None:
    small, large = save_onnx(tmp_path / "small.onnx"), tmp_path / "large.onnx"
    large.write_bytes(small.read_bytes())
    (found,) = edgekit.benchmark([small, large], BenchmarkOptions(num_runs=100)).comparisons
    assert found.ratio.ci95[0] < found.ratio.value < found.ratio.ci95[1]


def test_what_is_slow_twice_is_a_regression(model: Path, tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.jsonl"
    append(baseline, *on_fake([model], ms=4.0).records)
    slow = edgekit.benchmark([model], FAKE)
    result = find_regressions(slow, baseline, 0.05, FAKE)
    assert [one.ratio.value for one in result.regressions] == pytest.approx([1.25], rel=0.02)
    assert len(result.records) == 2
    assert find_regressions(slow, baseline, 0.3, FAKE).regressions == ()


def test_what_is_slow_once_is_none(model: Path, tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.jsonl"
    append(baseline, *on_fake([model], ms=5.0).records)
    result = find_regressions(on_fake([model], ms=6.0), baseline, 0.05, FAKE)
    assert result.regressions == ()


def test_a_target_refuses_what_it_cannot_run(model: Path) -> None:
    with pytest.raises(UnsupportedError, match="runs tflite"):
        edgekit.benchmark([model], BenchmarkOptions(target="rpi4", device="fake:one"))
    options = BenchmarkOptions(target="rpi4", device="fake:one", force=True)
    (found,) = edgekit.benchmark([model], options).records
    assert "runs tflite" in found.warnings[0]
    assert "--force" in found.command


def test_a_target_that_is_not_this_machine_is_said(model: Path) -> None:
    options = BenchmarkOptions(target="rpi4", force=True, num_runs=10, warmup_runs=1)
    (found,) = edgekit.benchmark([model], options).records
    assert any("this machine was measured" in sentence for sentence in found.warnings)


@pytest.mark.parametrize(
    ("field", "value"),
    [("num_threads", -1), ("num_runs", 0), ("warmup_runs", -1), ("sustained_s", 0.1), ("cpus", "first")],
)
def test_numbers_that_make_no_sense_are_refused(model: Path, field: str, value: object) -> None:
    with pytest.raises(InputError, match=r"expected"):
        edgekit.benchmark([model], BenchmarkOptions(**{"device": "fake:one", field: value}))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["none.onnx", "net.txt", "net.bin"])
def test_what_is_no_model_file_is_refused_at_once(model: Path, name: str) -> None:
    model.with_name("net.txt").write_text("text")
    with pytest.raises(ModelFileError):
        edgekit.benchmark([model.with_name(name)], FAKE)


def test_a_file_that_changes_meanwhile_is_noticed(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = FakeDevice("fake:one")
    pushed = device.push

    def push_and_change(files: list[Path]) -> list[str]:
        there = pushed(files)
        if files == [model]:
            Path(f"{model}.old").write_bytes(model.read_bytes())
            there = [f"{model}.old.onnx"]
            Path(there[0]).write_bytes(model.read_bytes() + b"\0")
        return there

    monkeypatch.setattr(device, "push", push_and_change)
    with pytest.raises(DeviceError, match="measured another file"):
        measure(device, [model], Protocol())
