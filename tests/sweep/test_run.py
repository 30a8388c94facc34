"""Sweeps: every job once, resumed after whatever stopped them, several devices at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from edgekit.devices.fake import FakeDevice
from edgekit.errors import DeviceError, InputError, OutputError
from edgekit.measure import record
from edgekit.measure.results_file import appending
from edgekit.options import ExportOptions
from edgekit.pipeline import export
from edgekit.results import ExportResult
from edgekit.sweep import plan, prepare, run
from edgekit.sweep.plan import Job
from edgekit.sweep.run import sweep
from small_models import save_onnx


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_RETRY_AFTER_S", (0.0, 0.0))


def write(folder: Path, **fields: object) -> Path:
    """A sweep of two artifacts, as TOML."""
    for seed in (0, 1):
        save_onnx(folder / f"net{seed}.onnx", seed=seed)
    lines = {"artifacts": ["net*.onnx"], "devices": ["fake:a", "fake:b"], "threads": [1, 2], **fields}
    path = folder / "sweep.toml"
    path.write_text("\n".join(f"{name} = {value!r}" for name, value in lines.items()))
    return path


def ids(results: Path) -> list[str]:
    return [one.id for one in record.read(results)]


def test_every_job_is_measured_once_and_only_once(tmp_path: Path) -> None:
    path, results = write(tmp_path), tmp_path / "results.jsonl"
    first = sweep(path, results)
    assert (len(first.records), first.known, first.failures) == (8, 0, ())
    second = sweep(path, results)
    assert (len(second.records), second.known) == (0, 8)
    wanted = {job.id for job in plan.jobs_of(plan.read(path), tmp_path)}
    assert Counter(ids(results)) == Counter(wanted)


def test_more_of_a_sweep_measures_only_what_is_new(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    sweep(write(tmp_path), results)
    more = sweep(write(tmp_path, devices=["fake:a", "fake:b", "fake:c"]), results)
    assert (len(more.records), more.known) == (4, 8)
    assert {one.device for one in more.records} == {"fake:c"}


def test_a_file_that_changed_is_another_job(tmp_path: Path) -> None:
    path, results = write(tmp_path), tmp_path / "results.jsonl"
    sweep(path, results)
    save_onnx(tmp_path / "net1.onnx", seed=7)
    assert len(sweep(path, results).records) == 4


@pytest.mark.parametrize("lost", [1, 40, 5000])
def test_a_crash_while_writing_loses_no_more_than_that_record(tmp_path: Path, lost: int) -> None:
    path, results = write(tmp_path), tmp_path / "results.jsonl"
    sweep(path, results)
    results.write_bytes(results.read_bytes()[:-lost])
    again = sweep(path, results)
    assert len(again.records) + again.known == 8
    assert len(set(ids(results))) == len(ids(results)) == 8


def test_a_sweep_that_is_killed_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path, results = write(tmp_path), tmp_path / "results.jsonl"
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom edgekit.measure.results_file import Appender\n"
        "from edgekit.sweep.run import sweep\n"
        "left = [3]\nadd = Appender.add\n"
        "def add_and_die(self, *records):\n"
        "    add(self, *records)\n    left[0] -= 1\n    left[0] or os._exit(9)\n"
        "Appender.add = add_and_die\nsweep(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", code, str(path), str(results)]
    assert subprocess.run(command, check=False).returncode == 9
    assert len(ids(results)) == 3
    again = sweep(path, results)
    assert (len(again.records), again.known) == (5, 3)


def test_a_cut_connection_is_tried_again(tmp_path: Path) -> None:
    result = sweep(write(tmp_path, devices=["fake:a?cut=2"]), tmp_path / "results.jsonl")
    assert (len(result.records), result.failures) == (4, ())


def test_a_device_that_is_gone_fails_its_own_jobs_only(tmp_path: Path) -> None:
    results = tmp_path / "results.jsonl"
    result = sweep(write(tmp_path, devices=["fake:a", "fake:b?cut=1"]), results)
    assert {failure.job.options.device for failure in result.failures} == {"fake:b?cut=1"}
    assert all(isinstance(failure.error, DeviceError) for failure in result.failures)
    assert len(result.failures) == len(result.records) == 4


def test_a_file_that_fails_fails_alone(tmp_path: Path) -> None:
    path = write(tmp_path, devices=["fake:a"], target="tflite")
    (tmp_path / "net.tflite").write_bytes(b"no model")
    result = sweep(path, tmp_path / "results.jsonl")
    assert len(result.failures) == 4
    assert "is a file for onnx" in str(result.failures[0].error)


def test_devices_work_side_by_side_and_each_on_one_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy: Counter[str] = Counter()
    most: Counter[str] = Counter()
    both = threading.Barrier(2, timeout=20)
    met: list[bool] = []
    real = FakeDevice.push

    def slow(self: FakeDevice, files: list[Path]) -> list[str]:
        busy[self.name] += 1
        most[self.name] = max(most[self.name], busy[self.name])
        if not met:
            both.wait()
            met.append(True)
        time.sleep(0.01)
        busy[self.name] -= 1
        return real(self, files)

    monkeypatch.setattr(FakeDevice, "push", slow)
    sweep(write(tmp_path), tmp_path / "results.jsonl")
    assert met, "the devices waited for each other"
    assert set(most.values()) == {1}


def test_devices_on_one_processor_take_turns(tmp_path: Path) -> None:
    names = ["local", "cmd:env", "fake:a"]
    jobs = plan.jobs_of(plan.read(write(tmp_path, devices=names)), tmp_path)
    parts = run._by_place([(job, tmp_path) for job in jobs])
    assert sorted({device.name for _, _, device in part} == {"local", "cmd:env"} for part in parts) == [
        False,
        True,
    ]


def test_two_sweeps_into_one_file_do_not_mix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgekit.measure.results_file._WAIT_S", 0.1)
    path, results = write(tmp_path), tmp_path / "results.jsonl"
    with appending(results), pytest.raises(OutputError, match="being written by another process"):
        sweep(path, results)


def test_models_are_exported_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, str | None]] = []

    def counting(model: str, options: ExportOptions) -> ExportResult:
        made.append((options.target, options.precision))
        return export(model, options)

    monkeypatch.setattr(prepare, "export", counting)
    save_onnx(tmp_path / "net.onnx")
    path = write(
        tmp_path, artifacts=[], models=["net.onnx"], precisions=["fp32"], runtimes=["tflite", "onnx"]
    )
    results = tmp_path / "results.jsonl"
    result = sweep(path, results)
    assert len(result.records) == 8
    assert made == [("tflite", "fp32"), ("onnx", "fp32")]
    os.remove(results)
    assert len(sweep(path, results).records) == 8
    assert len(made) == 2
    assert {one.format for one in result.records} == {"tflite", "onnx"}
    assert {one.precision for one in result.records} == {"fp32"}


def test_an_export_that_fails_fails_its_own_jobs_only(tmp_path: Path) -> None:
    path = write(tmp_path, artifacts=["net0.onnx"], models=["no_such_model"], devices=["fake:a"], threads=[1])
    result = sweep(path, tmp_path / "results.jsonl")
    assert len(result.records) == 1
    assert [str(failure.error) for failure in result.failures] == ["unknown model 'no_such_model'"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"artifacts": []}, "names no models and no artifacts"),
        ({"artifacts": ["none*.onnx"]}, "which no file in"),
        ({"devices": ["toaster"]}, "unknown kind of device"),
        ({"threads": ["many"]}, "threads"),
        ({"precisions": ["int3"]}, "precisions"),
        ({"colour": "blue"}, "colour"),
        ({"target": "toaster"}, "unknown target"),
    ],
)
def test_a_sweep_that_cannot_be_run_is_an_input_error(
    tmp_path: Path, fields: dict[str, object], message: str
) -> None:
    path = write(tmp_path, **fields)
    with pytest.raises(InputError, match=message):
        sweep(path, tmp_path / "results.jsonl")
    assert not (tmp_path / "results.jsonl").exists()


def test_a_job_says_what_it_is(tmp_path: Path) -> None:
    jobs: list[Job] = plan.jobs_of(plan.read(write(tmp_path, models=["mobilenet_v2"])), tmp_path)
    titles = {job.title for job in jobs}
    assert "net0.onnx on fake:a with 2 threads" in titles
    assert "mobilenet_v2 int8 for tflite on fake:b with 1 thread" in titles
    assert len({job.id for job in jobs}) == len(jobs)
