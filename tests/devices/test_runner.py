"""The runner as it is copied: what it needs, what it reports, and what it says when something fails."""

from __future__ import annotations

import ast
import faulthandler
import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx_ir as ir
import pytest

from edgekit.devices import runner
from edgekit.devices.archive import runner_bytes, write_runner
from edgekit.devices.runner import accelerators, machine, protocol, worker
from edgekit.devices.runner.allocations import without_allocations
from edgekit.devices.runner.answers import deviation, outputs_of
from edgekit.devices.runner.failure import FailureError
from edgekit.devices.runner.worker import Worker
from graphs import GraphBuilder

MODULES = sorted(Path(runner.__file__).parent.glob("*.py"))
needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


@pytest.fixture(scope="session")
def application(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The one file, in a folder where nothing else is."""
    return write_runner(tmp_path_factory.mktemp("application"))


def run(application: Path, *arguments: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-I", str(application), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def turns_of(events: list[dict[str, Any]]) -> list[tuple[int, int]]:
    """(artifact, samples) of each turn."""
    return [(one["artifact"], len(one["samples_ms"])) for one in events if one["event"] == "turn"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_runner_needs_python_3_9_and_its_library_only(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
    names = [
        name
        for node in tree.body
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    ]
    foreign = [name for name in names if name.split(".")[0] not in {*sys.stdlib_module_names, "edgekit"}]
    assert not foreign
    assert all(name.startswith("edgekit.devices.runner") for name in names if name.startswith("edgekit"))


def test_the_file_is_always_the_same() -> None:
    assert runner_bytes() == runner_bytes()
    names = zipfile.ZipFile(io.BytesIO(runner_bytes())).namelist()
    assert "__main__.py" in names
    assert not [name for name in names if not name.endswith(".py")]


def test_files_take_turns_and_every_sample_is_kept(application: Path, model: Path) -> None:
    events = run(application, str(model), str(model), "--num-runs", "30", "--warmup-runs", "3")
    turns = turns_of(events)
    order = [artifact for artifact, _ in turns]
    rounds = list(zip(order[::2], order[1::2], strict=True))
    assert set(rounds) == {(0, 1), (1, 0)}  # neither is always the first
    assert all(one == other[::-1] for one, other in zip(rounds[::2], rounds[1::2], strict=False))
    assert [sum(count for own, count in turns if own == artifact) for artifact in (0, 1)] == [30, 30]
    assert len(turns) >= 20
    assert (events[0]["event"], events[-1]["event"]) == ("start", "end")
    assert all(min(one["samples_ms"]) > 0 for one in events if one["event"] == "turn")


def test_by_default_a_file_is_run_until_steady_and_long_enough(application: Path, model: Path) -> None:
    events = run(application, str(model), "--seconds", "0.5")
    (warm,) = [one for one in events if one["event"] == "warm"]
    assert warm["runs"] >= 8
    turns = [one for one in events if one["event"] == "turn"]
    runs = sum(count for _, count in turns_of(events))
    assert runs >= 10
    assert sum(one["wall_s"] for one in turns) >= 0.5 or runs >= 10_000
    assert all(one["peak_memory_bytes"] > 1_000_000 for one in turns)


def test_a_sustained_run_says_when_each_turn_began(application: Path, model: Path) -> None:
    events = run(application, str(model), "--sustained", "2", "--warmup-runs", "1")
    at_s = [one["at_s"] for one in events if one["event"] == "turn"]
    assert len(at_s) == 2
    assert 0.9 < at_s[1] - at_s[0] < 2


def test_a_process_started_anew_measures_as_a_fork_does(application: Path, model: Path) -> None:
    arguments = [str(model), "--num-runs", "30", "--warmup-runs", "2", "--no-fork"]
    events = run(application, *arguments)
    assert sum(count for _, count in turns_of(events)) == 30
    assert events[-1]["event"] == "end"


@pytest.mark.parametrize("way", [(), ("--no-fork",)], ids=["forked", "anew"])
def test_onnxruntime_says_what_its_arena_takes(
    application: Path, tmp_path: Path, way: tuple[str, ...]
) -> None:
    """The arena grows in powers of two, so a value of 8 MB between operators takes 8 to 32."""
    arenas = []
    for megabytes in (8, 64):
        b = GraphBuilder([1, megabytes << 18])
        ir.save(b.model(b.op("Cos", b.op("Sin", b.image))), tmp_path / "model.onnx")
        events = run(application, str(tmp_path / "model.onnx"), "--num-runs", "2", "--warmup-runs", "1", *way)
        (loaded,) = [one for one in events if one["event"] == "loaded"]
        arenas.append(loaded["arena_bytes"] / 2**20)
    assert 8 <= arenas[0] <= 32
    assert 64 <= arenas[1] <= 256


def test_what_a_runtime_prints_does_not_mix_with_the_events(application: Path, model: Path) -> None:
    assert all(isinstance(event["event"], str) for event in run(application, "--check"))


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [("a.onnx", b"nonsense", "artifact"), ("b.tflite", b"nonsense", "artifact"), ("c.txt", b"", "artifact")],
)
def test_what_is_no_model_is_an_error_event(
    application: Path, tmp_path: Path, name: str, content: bytes, kind: str
) -> None:
    (tmp_path / name).write_bytes(content)
    last = run(application, str(tmp_path / name))[-1]
    assert (last["event"], last["kind"]) == ("error", kind)


def test_cpus_that_there_are_not_are_an_error_event(application: Path, model: Path) -> None:
    last = run(application, str(model), "--cpus", "4095")[-1]
    assert (last["event"], last["kind"]) == ("error", "usage")


@needs_fork
@pytest.mark.parametrize(
    ("number", "kind"), [("SIGKILL", "out_of_memory"), ("SIGILL", "architecture"), ("SIGSEGV", "crash")]
)
def test_a_process_that_dies_is_told_by_its_signal(
    monkeypatch: pytest.MonkeyPatch, number: str, kind: str
) -> None:
    def die(*_: object) -> None:
        faulthandler.disable()  # pytest's would print where
        os.kill(os.getpid(), getattr(signal, number))

    monkeypatch.setattr(worker, "work", die)
    with pytest.raises(FailureError) as caught:
        Worker(Namespace(no_fork=False), "model.tflite")
    assert caught.value.kind == kind


@needs_fork
def test_an_account_of_memory_is_no_reason_for_a_crash() -> None:
    account = "2026 [I:onnxruntime:Default, bfc_arena.cc:208 Extend] Total allocated bytes: 64"
    assert without_allocations(f"{account}\nAborted (core dumped)") == "Aborted (core dumped)"


def test_a_process_that_gets_no_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def give_up(*_: object) -> None:
        os.write(2, b"OpenBLAS error: Memory allocation still failed after 10 retries, giving up.\n")
        os._exit(1)

    monkeypatch.setattr(worker, "work", give_up)
    with pytest.raises(FailureError, match="Memory allocation still failed") as caught:
        Worker(Namespace(no_fork=False), "model.tflite")
    assert caught.value.kind == "out_of_memory"


@needs_fork
def test_what_an_accelerator_answers_is_held_against_the_processor(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(path: str) -> Any:
        outputs = outputs_of(path, 1)
        return lambda: [1.5 * one for one in outputs]

    monkeypatch.setitem(accelerators.ACCELERATORS, "half-more", (".onnx", lambda _: ("onnx", "0", load)))
    options = Namespace(no_fork=False, accelerator="half-more", num_threads=1, cpus=machine.usable_cpus())
    one = Worker(options, str(model))
    one.close()
    assert one.loaded["deviation"] == pytest.approx(0.5)


def test_deviation_is_relative_and_of_the_worst_output() -> None:
    assert deviation([[1.0, -1.0], [2.2]], [[1.0, -1.0], [2.0]]) == pytest.approx(0.1)
    assert deviation([[float("nan")]], [[1.0]]) == float("inf")
    assert deviation([[1.0, 2.0]], [[1.0]]) == float("inf")


def test_a_clock_that_goes_backwards_stops_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, 1.0, 0.5])
    monkeypatch.setattr(worker, "_now", lambda: next(times))
    with pytest.raises(FailureError, match=r"from 1\.0 s to 0\.5 s") as caught:
        worker.take(lambda: None, 1, 1.0, 1)
    assert caught.value.kind == "clock"


def test_a_date_that_is_set_meanwhile_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    dates = iter([1_000.0, 5_000.0])
    monkeypatch.setattr(time, "time", lambda: next(dates))
    assert worker.take(lambda: None, 3, 0.0, 3)["clock_jump_s"] == pytest.approx(4_000, abs=1)


class FakeWorker:
    """Answers with the next of ``costs_ms``, without taking time."""

    def __init__(self, costs_ms: Iterator[float], clock: list[float]) -> None:
        self.costs_ms = costs_ms
        self.clock = clock

    def ask(self, most_runs: int, seconds: float, least_runs: int) -> dict[str, Any]:
        samples: list[float] = []
        while len(samples) < most_runs and (len(samples) < least_runs or sum(samples) < 1e3 * seconds):
            samples.append(next(self.costs_ms))
        self.clock[0] += sum(samples) / 1e3
        return {"samples_ms": samples}


def warm_up(monkeypatch: pytest.MonkeyPatch, costs_ms: Iterator[float]) -> tuple[int, bool]:
    clock = [0.0]
    monkeypatch.setattr(protocol, "_now", lambda: clock[0])
    return protocol._warm_up(FakeWorker(costs_ms, clock), None)  # type: ignore[arg-type]


def falling(start: float, factor: float, least: float) -> Iterator[float]:
    value = start
    while True:
        yield max(value, least)
        value *= factor


def test_warm_up_ends_when_runs_get_no_quicker(monkeypatch: pytest.MonkeyPatch) -> None:
    steady, is_steady = warm_up(monkeypatch, falling(10.0, 1.0, 10.0))
    slow, is_slow_steady = warm_up(monkeypatch, falling(40.0, 0.99, 10.0))
    assert is_steady
    assert is_slow_steady
    assert slow > 138 > steady  # 40 ms have become 10 ms after 138 runs


def test_warm_up_that_has_no_end_is_given_up_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert warm_up(monkeypatch, falling(1e4, 0.9, 0.0))[1] is False


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for /sys/devices/system/cpu, with a slow and a fast pair of CPUs."""
    for cpu, most in enumerate((1_800_000, 1_800_000, 2_400_000, 2_400_000)):
        folder = tmp_path / f"cpu{cpu}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "cpuinfo_max_freq").write_text(f"{most}\n")
        (folder / "scaling_max_freq").write_text(f"{most}\n")
        (folder / "scaling_cur_freq").write_text(f"{most // 2}\n")
    monkeypatch.setattr(machine, "_CPUS", tmp_path)
    monkeypatch.setattr(machine, "usable_cpus", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(os, "sched_setaffinity", lambda *_: None, raising=False)
    return tmp_path


def test_the_idlest_of_the_fastest_cpus_are_chosen(system: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    busy = iter([dict.fromkeys(range(4), 0.0), {0: 0.0, 1: 0.0, 2: 0.0, 3: 0.1}] * 2)
    monkeypatch.setattr(machine, "busy_s", lambda: next(busy))
    assert machine.choose_cpus("auto", 1) == [2]
    assert machine.choose_cpus("auto", 3) == [1, 2, 3]
    assert machine.choose_cpus("all", 1) == [0, 1, 2, 3]
    assert machine.choose_cpus("0,1", 2) == [0, 1]


def test_a_lowered_limit_of_the_clock_is_throttling(system: Path) -> None:
    assert machine.state([2])["throttled"] == []
    (system / "cpu2" / "cpufreq" / "scaling_max_freq").write_text("1200000\n")
    assert machine.state([2])["throttled"] == ["clock limited to 1200 of 2400 MHz"]
    assert machine.state([2])["clock_mhz"] == 1200


def test_a_raspberry_pi_says_what_holds_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_pi_flags", lambda: 0b101 | 0b101 << 16)
    assert machine.state([0])["throttled"] == ["under-voltage", "throttled"]
