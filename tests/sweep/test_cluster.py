"""A sweep on a Dask cluster in this process, whose workers say which devices they have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekit.errors import InputError
from edgekit.measure import record
from edgekit.sweep import run
from edgekit.sweep.run import sweep
from small_models import save_onnx

distributed = pytest.importorskip("distributed", reason="needs the extra dask")

# What distributed leaves behind when a cluster ends inside a test is not ours to fix.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A scheduler with two workers: one has fake:a, the other fake:b and a fake that is always cut."""
    workers = {
        0: {"cls": distributed.Worker, "options": {"nthreads": 4, "resources": {"fake:a": 1}}},
        1: {
            "cls": distributed.Worker,
            "options": {"nthreads": 4, "resources": {"fake:b": 1, "fake:c?cut=1": 1}},
        },
    }
    scheduler = {"cls": distributed.Scheduler, "options": {"dashboard": False, "port": 0}}
    with distributed.SpecCluster(workers, scheduler=scheduler, silence_logs=40) as cluster:
        yield cluster.scheduler_address


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_RETRY_AFTER_S", ())


def write(folder: Path, *devices: str) -> Path:
    save_onnx(folder / "net.onnx")
    path = folder / "sweep.toml"
    path.write_text(f'artifacts = ["net.onnx"]\nthreads = [1, 2, 3]\ndevices = {list(devices)}\n')
    return path


def test_each_job_goes_to_a_worker_that_has_its_device(address: str, tmp_path: Path) -> None:
    path, results = write(tmp_path, "fake:a", "fake:b"), tmp_path / "results.jsonl"
    first = sweep(path, results, address)
    assert (len(first.records), first.failures) == (6, ())
    assert {one.artifact for one in first.records} == {(tmp_path / "net.onnx").as_posix()}
    assert all(one.artifact in one.command for one in first.records)
    second = sweep(path, results, address)
    assert (len(second.records), second.known) == (0, 6)
    ids = [one.id for one in record.read(results)]
    assert len(ids) == len(set(ids)) == 6


def test_a_job_here_and_there_is_the_same_job(address: str, tmp_path: Path) -> None:
    path, results = write(tmp_path, "fake:a"), tmp_path / "results.jsonl"
    sweep(path, results)
    assert sweep(path, results, address).known == 3


def test_a_device_that_no_worker_has_is_told(address: str, tmp_path: Path) -> None:
    result = sweep(write(tmp_path, "fake:a", "fake:z"), tmp_path / "results.jsonl", address)
    assert len(result.records) == 3
    assert {str(failure.error) for failure in result.failures} == {
        f"no worker of {address} has fake:z, they have fake:a, fake:b, fake:c?cut=1"
    }
    assert "--resources" in result.failures[0].error.hint


def test_what_fails_on_a_worker_is_told_here(address: str, tmp_path: Path) -> None:
    result = sweep(write(tmp_path, "fake:c?cut=1"), tmp_path / "results.jsonl", address)
    assert len(result.failures) == 3
    assert "was cut" in str(result.failures[0].error)


def test_a_scheduler_that_does_not_answer_is_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgekit.sweep.cluster._CONNECT", "1s")
    with pytest.raises(InputError, match="no Dask scheduler answers"):
        sweep(write(tmp_path, "fake:a"), tmp_path / "results.jsonl", "tcp://127.0.0.1:9")
