"""``edgekit benchmark`` and ``edgekit devices``: their flags, output, files and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgekit.cli.main import main
from edgekit.devices import KINDS
from edgekit.devices.fake import FakeDevice
from edgekit.measure import record
from edgekit.measure.results_file import append
from records import latency_record
from small_models import save_onnx


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_onnx(tmp_path / "net.onnx")


def run(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    output = capsys.readouterr()
    return code, output.out, output.err


def test_json_has_the_records_with_every_sample(capsys: pytest.CaptureFixture[str], model: Path) -> None:
    code, out, _ = run(
        capsys, "benchmark", model, "--device", "fake:a", "--num-runs", "40", "--target", "onnx", "--json"
    )
    (found,) = json.loads(out)["records"]
    assert code == 0
    assert {"artifact", "target", "device", "runtime", "runtime_version", "num_threads"} <= set(found)
    assert set(found["latency_ms"]) == {"median", "min", "p90", "mean", "ci95"}
    assert len(found["latency_ms"]["ci95"]) == 2
    assert len(found["samples_ms"]) == 40
    assert found["peak_memory_bytes"] > 0


def test_a_table_shows_the_files_and_their_ratio(capsys: pytest.CaptureFixture[str], model: Path) -> None:
    other = save_onnx(model.with_name("other.onnx"), seed=1)
    code, out, err = run(capsys, "benchmark", model, other, "--device", "fake:a?ms=7")
    assert (code, err) == (0, "")
    assert "7.0" in out
    assert f"{other.as_posix()} takes " in out
    assert out.rstrip().endswith(": within noise")


def test_emulated_time_is_not_shown_as_latency(
    capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeDevice, "emulated", True)
    other, results = save_onnx(model.with_name("other.onnx"), seed=1), tmp_path / "results.jsonl"
    out = run(capsys, "benchmark", model, other, "--device", "fake:a?ms=7&noise=0", "-o", results)[1]
    assert out.count("  emulated  ") == 2
    assert "7.0" not in out
    assert " as long as " not in out
    assert all(one.emulated for one in record.read(results))


def test_records_are_added_to_a_file(capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    for _ in range(2):
        assert run(capsys, "benchmark", model, "--device", "fake:a", "-o", results)[0] == 0
    found = record.read(results)
    assert len(found) == 2
    assert found[0].id == found[1].id


@pytest.mark.parametrize(("limit", "code"), [("5%", 1), ("30", 0)])
def test_a_regression_is_exit_code_1(
    capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path, limit: str, code: int
) -> None:
    device, baseline = "fake:a?ms=6", tmp_path / "baseline.jsonl"
    run(capsys, "benchmark", model, "--device", device, "-o", tmp_path / "now.jsonl")
    (now,) = record.read(tmp_path / "now.jsonl")
    assert isinstance(now, record.LatencyRecord)
    quicker = tuple(0.8 * sample for sample in now.samples_ms)
    append(
        baseline,
        latency_record(
            artifact="net.onnx",
            device=device,
            runtime="onnx",
            environment=now.environment,
            samples_ms=quicker,
            rounds=now.rounds,
            latency_ms=record.LatencyMs(median=4.8, min=4.8, p90=4.9, mean=4.8, ci95=(4.8, 4.9)),
        ),
    )
    got = run(capsys, "benchmark", model, "--device", device, "--baseline", baseline, "--fail-over", limit)
    assert got[0] == code
    assert ("25.0% more than the baseline's 4.800 ms" in got[2]) == bool(code)


def test_a_sustained_run_is_shown_over_time(capsys: pytest.CaptureFixture[str], model: Path) -> None:
    code, out, _ = run(capsys, "benchmark", model, "--sustained", "2s", "--warmup-runs", "1")
    assert code == 0
    assert "over time, in ms: " in out
    assert " at 1 s" in out


def test_a_sweep_says_what_it_did(capsys: pytest.CaptureFixture[str], model: Path, tmp_path: Path) -> None:
    sweep, results = tmp_path / "sweep.toml", tmp_path / "results.jsonl"
    sweep.write_text('artifacts = ["net.onnx"]\ndevices = ["fake:a", "fake:b"]\n')
    assert run(capsys, "benchmark", "--sweep", sweep, "-o", results)[1].endswith(
        "2 measured, 0 there before, 0 failed\n"
    )
    code, out, _ = run(capsys, "benchmark", "--sweep", sweep, "-o", results, "--json")
    assert (code, json.loads(out)) == (0, {"records": [], "known": 2, "failures": []})


def test_a_sweep_with_a_job_that_fails_is_exit_code_1(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"broken")
    (tmp_path / "sweep.toml").write_text('artifacts = ["broken.onnx"]\ndevices = ["cmd:false"]\n')
    code, out, err = run(
        capsys, "benchmark", "--sweep", tmp_path / "sweep.toml", "-o", tmp_path / "results.jsonl"
    )
    assert (code, out) == (1, "0 measured, 0 there before, 1 failed\n")
    assert "1 job failed: broken.onnx on cmd:false" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no file was given"),
        (["net.onnx", "--device", "toaster"], "unknown kind of device 'toaster'"),
        (["net.onnx", "--sustained", "soon"], "expected a time such as 60s"),
        (["net.onnx", "--fail-over", "much"], "expected a percentage"),
        (["net.onnx", "--baseline", "none.jsonl", "--device", "fake:a"], "cannot read none.jsonl"),
        (["net.onnx", "--sweep", "sweep.toml"], "a sweep is given by --sweep FILE and -o FILE alone"),
        (["none.onnx"], "none.onnx is not a file"),
        (["net.onnx", "--target", "rpi4", "--device", "fake:a"], "runs tflite"),
    ],
)
def test_bad_input_is_exit_code_2(
    capsys: pytest.CaptureFixture[str],
    model: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(model.parent)
    code, out, err = run(capsys, "benchmark", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_devices_are_listed_as_they_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "devices", "list")[1]
    assert all(kind.form in out for kind in KINDS.values())
    listed = json.loads(run(capsys, "devices", "list", "--json")[1])["devices"]
    assert [one["kind"] for one in listed] == list(KINDS)


def test_a_device_says_what_it_has(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "devices", "check", "local")
    assert code == 0
    assert "onnxruntime" in out
    found = json.loads(run(capsys, "devices", "check", "fake:a", "--json")[1])
    assert found["device"] == "fake:a"
