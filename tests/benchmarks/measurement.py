"""How far `edgekit benchmark` can be believed: repeated, beside the runtimes' own tools, and by a bad line.

    .venv/bin/python tests/benchmarks/measurement.py FILE... [--only PART] [--pairs 12]

Parts are ``repeat``, ``loop``, ``overhead``, ``ssh`` and ``cuts``. ``repeat`` measures the first file in ten
processes, one after the other. ``loop`` takes turns of hundredths of a second with a bare loop around the
same loaded file, so that what the harness adds shows whatever the machine does (OpenVINO tells each run's
time itself, as to its own tool; its figures are compared). ``overhead`` sets each file's figure beside that
of its runtime's tool (``litert-benchmark``, ``benchmark_app``) or, for ONNX, a bare loop, in turns A B B A on
the same core. ``ssh`` measures by a local sshd, in turns with measuring here. More ``--pairs`` of either tell
more. Neighbours are compared, and what is claimed is the least that all pairs together allow, since other
work on the machine only blurs them. ``cuts`` sweeps by a line that is cut at random points.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent))  # for boards.py, which the tests use too

import report
from boards import Board, CuttingProxy, make_client, serve
from edgekit.benchmarking import benchmark
from edgekit.cli.console import Column
from edgekit.devices.runner.runtimes import RUNTIMES, Invoke
from edgekit.devices.runner.worker import take
from edgekit.errors import DeviceLostError
from edgekit.measure import record
from edgekit.measure.record import LatencyRecord
from edgekit.measure.rounds import pinned
from edgekit.measure.session import BenchmarkOptions
from edgekit.sweep import run
from edgekit.sweep.run import sweep
from report import Claim
from small_models import save_onnx

PROCESSES = 10
PAIRS = 12
LOOP_TURNS, LOOP_S, MOST_RUNS = 400, 0.03, 10_000
CUTS = 50
JOBS = 4
CUT_AFTER_BYTES = (500, 60_000)
MOST_CONNECTIONS = 100  # of one sweep
CORE = "1"
COLUMNS = (
    Column("what"),
    Column("median ms", is_number=True),
    Column("95 % CI", is_number=True),
    Column("min ms", is_number=True),
    Column("noisy"),
)

BARE_ONNX = """
import json, sys, time
import numpy, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
(port,) = session.get_inputs()
dtype = {"tensor(float)": "float32", "tensor(int8)": "int8", "tensor(uint8)": "uint8"}[port.type]
feeds = {port.name: numpy.ones([size if isinstance(size, int) else 1 for size in port.shape], dtype)}
samples = []
for _ in range(20):
    session.run(None, feeds)
for _ in range(int(sys.argv[2])):
    before = time.perf_counter()
    session.run(None, feeds)
    samples.append((time.perf_counter() - before) * 1e3)
samples.sort()
print(json.dumps([samples[len(samples) // 2], samples[0]]))
"""


@dataclass(frozen=True)
class Row:
    """One measurement, or one summary of several."""

    what: str
    median_ms: float
    ci95: tuple[float, float] | None
    min_ms: float
    noisy: bool | None

    def cells(self) -> tuple[str, ...]:
        interval = f"{self.ci95[0]:.3f}–{self.ci95[1]:.3f}" if self.ci95 else "-"
        noisy = "-" if self.noisy is None else "yes" if self.noisy else "no"
        return self.what, f"{self.median_ms:.3f}", interval, f"{self.min_ms:.3f}", noisy


Found = tuple[list[Row], list[Claim]]
Part = Callable[[argparse.Namespace], Found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="of overhead and ssh, for each file")
    parser.add_argument("--json", action="store_true")
    report.main(partial(_measure, parser.parse_args()))


def _measure(args: argparse.Namespace) -> None:
    machine = report.this_machine()
    rows: list[Row] = []
    claims: list[Claim] = []
    for name in args.only or PARTS:
        report.note(name)
        more_rows, more_claims = PARTS[name](args)
        rows += more_rows
        claims += more_claims
    report.Show(machine, COLUMNS, rows, claims).conclude(as_json=args.json)


def _repeat(args: argparse.Namespace) -> Found:
    rows: list[Row] = []
    samples: list[float] = []
    for number in range(PROCESSES):
        (found,) = benchmark([args.files[0]], BenchmarkOptions()).records
        rows.append(_row(f"process {number + 1}", found))
        samples += found.samples_ms
    long_run = statistics.median(samples)
    quiet = [row.median_ms for row in rows if not row.noisy] or [long_run]
    covered = sum(row.ci95[0] <= long_run <= row.ci95[1] for row in rows if row.ci95)
    rows.append(Row("all processes", long_run, None, min(samples), None))
    middle = (max(quiet) + min(quiet)) / 2
    return rows, [
        Claim(
            "% that quiet processes' medians lie around their middle", 100 * max(quiet) / middle - 100, "≤", 3
        ),
        Claim("intervals of 10 that cover the long run's median", covered, "≥", 9),
    ]


def _loop(args: argparse.Namespace) -> Found:
    with pinned({int(CORE)}):
        found = [_in_a_loop(path) for path in args.files]
    return [row for rows, _ in found for row in rows], [claim for _, claim in found]


def _in_a_loop(path: Path) -> tuple[list[Row], Claim]:
    """Means of the harness's samples over a bare loop's time for as many runs, in turns A B B A."""
    invoke = RUNTIMES[path.suffix](1)[2](str(path))
    count = len(take(invoke, MOST_RUNS, LOOP_S, 3)["samples_ms"])
    bare_ms = _told_ms if isinstance(invoke(), float) else _bare_ms
    makers = (
        lambda: statistics.fmean(take(invoke, count, 0.0, count)["samples_ms"]),
        lambda: bare_ms(invoke, count),
    )
    times_ms: tuple[list[float], list[float]] = ([], [])
    for turn in range(LOOP_TURNS):
        for which in (0, 1) if turn % 2 else (1, 0):
            times_ms[which].append(makers[which]())
    over, error = _median_of([100 * (one / other - 1) for one, other in zip(*times_ms, strict=True)])
    what = f"% that the harness adds, {path.name} ({over:+.2f} ± {2 * error:.2f})"
    rows = [
        Row(f"{who}, {path.name}", statistics.median(some), None, min(some), None)
        for who, some in zip(("harness", "bare loop"), times_ms, strict=True)
    ]
    return rows, Claim(what, abs(over) + 2 * error, "≤", 2)


def _bare_ms(invoke: Invoke, count: int) -> float:
    before = time.perf_counter()
    for _ in range(count):
        invoke()
    return (time.perf_counter() - before) * 1e3 / count


def _told_ms(invoke: Invoke, count: int) -> float:
    return statistics.fmean([invoke() for _ in range(count)])


def _overhead(args: argparse.Namespace) -> Found:
    rows: list[Row] = []
    claims: list[Claim] = []
    for path in args.files:
        ours: list[Row] = []
        theirs: list[Row] = []
        sides = ((ours, _edgekit), (theirs, TOOLS[path.suffix]))
        for pair in range(args.pairs):
            for found, measure in sides[:: -1 if pair % 2 else 1]:
                found.append(measure(path))
        rows += [_summary(ours), _summary(theirs)]
        over, error = _over(ours, theirs)
        what = f"% over the tool for certain, {path.name} ({over:+.1f} ± {2 * error:.1f})"
        claims.append(Claim(what, abs(over) - 2 * error, "≤", 2))
    return rows, claims


def _edgekit(path: Path) -> Row:
    (found,) = benchmark([path], BenchmarkOptions(num_runs=100, cpus=CORE)).records
    return _row(f"edgekit, {path.name}", found)


def _over(ours: list[Row], theirs: list[Row]) -> tuple[float, float]:
    """How much longer the first take, in percent, and the standard error of that.

    Of each pair the medians and the quickest runs are compared; a pair counts by the mean of both.
    """
    ratios = [
        100 * ((one.median_ms / other.median_ms * one.min_ms / other.min_ms) ** 0.5 - 1)
        for one, other in zip(ours, theirs, strict=True)
    ]
    return _median_of(ratios)


def _median_of(values: list[float]) -> tuple[float, float]:
    """The median and its standard error."""
    # The normal's: a median of n scatters by 1.2533 sigma / sqrt(n), a quartile is 0.6745 sigma away.
    low, _, high = statistics.quantiles(values, n=4)
    sigma = (high - low) / 2 / 0.6745
    return statistics.median(values), 1.2533 * sigma / len(values) ** 0.5


def _summary(rows: list[Row]) -> Row:
    median_ms = statistics.median(row.median_ms for row in rows)
    return Row(rows[0].what, median_ms, None, min(row.min_ms for row in rows), None)


def _litert_tool(path: Path) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        flags = ["--num_threads", "1", "--num_runs", "100", "--warmup_runs", "20"]
        _call([_program("litert-benchmark"), "--model", path, "--result_json", answer, *flags])
        found = json.loads(answer.read_text())["latency"]
    return Row(f"litert-benchmark, {path.name}", found["median_ms"], None, found["min_ms"], None)


def _openvino_tool(path: Path) -> Row:
    flags = "-hint none -nthreads 1 -nstreams 1 -nireq 1 -api sync -niter 100 -infer_precision f32"
    text = _call([_program("benchmark_app"), "-m", path, *flags.split()])
    found = {name: float(value) for name, value in re.findall(r"(Median|Min):\s+([\d.]+) ms", text)}
    return Row(f"benchmark_app, {path.name}", found["Median"], None, found["Min"], None)


def _bare_loop(path: Path) -> Row:
    median_ms, min_ms = json.loads(_call([sys.executable, "-c", BARE_ONNX, path, "100"]))
    return Row(f"bare loop, {path.name}", median_ms, None, min_ms, None)


TOOLS: dict[str, Callable[[Path], Row]] = {
    ".tflite": _litert_tool,
    ".onnx": _bare_loop,
    ".xml": _openvino_tool,
}


def _program(name: str) -> Path:
    return Path(sys.executable).parent / name


def _call(command: list[str | Path]) -> str:
    pinned = ["taskset", "-c", CORE, *map(str, command)]
    return subprocess.run(pinned, capture_output=True, text=True, check=True).stdout


def _ssh(args: argparse.Namespace) -> Found:
    rows: dict[str, list[Row]] = {"local": [], "ssh": []}
    with _board() as board:
        for _ in range(args.pairs):
            for what, device in (("local", "local"), ("ssh", board.name())):
                options = BenchmarkOptions(device=device, num_runs=100, cpus=CORE)
                (found,) = benchmark([args.files[0]], options).records
                rows[what].append(_row(what, found))
    apart, error = _over(rows["ssh"], rows["local"])
    what = f"standard errors between ssh and here ({apart:+.1f} % ± {2 * error:.1f})"
    return [_summary(some) for some in rows.values()], [Claim(what, abs(apart) / max(error, 1e-9), "≤", 3)]


def _cuts(_args: argparse.Namespace) -> Found:
    """Sweeps of small files, each cut until it is through, until there were enough cuts."""
    run._RETRY_AFTER_S = ()  # each cut is to be seen
    generator = random.Random(0)
    counts: Counter[str] = Counter()
    with _board() as board:
        proxy = CuttingProxy(board.port)
        board.know(proxy.port)
        while counts["cuts"] < CUTS:
            with tempfile.TemporaryDirectory() as folder:
                # New files each time: those that are on the board already are not sent, and hardly ever cut.
                device, first = board.name(proxy.port), counts["records"]
                counts += _cut_sweep(Path(folder), first, device, proxy, generator)
            report.note(f"{counts['cuts']} cuts, {counts['records']} records")
        proxy.close()
    return [], [
        Claim("cuts that stopped a sweep", counts["cuts"], "≥", CUTS),
        Claim("cuts told as something else", counts["unclear"], "≤", 0),
        Claim(f"records doubled, of {counts['records']}", counts["doubled"], "≤", 0),
        Claim("jobs without a record after resuming", counts["lost"], "≤", 0),
    ]


def _cut_sweep(
    folder: Path, first: int, device: str, proxy: CuttingProxy, generator: random.Random
) -> Counter[str]:
    """One sweep of files from number ``first`` on, resumed after each cut until it ends without one."""
    counts: Counter[str] = Counter()
    for seed in range(first, first + JOBS):
        save_onnx(folder / f"net{seed}.onnx", seed=seed)
    path, results = folder / "sweep.toml", folder / "results.jsonl"
    path.write_text(
        f'artifacts = ["*.onnx"]\ndevices = ["{device}"]\nbenchmark = {{ num_runs = 10, warmup_runs = 1 }}\n'
    )
    is_through = False
    while not is_through:
        # For every connection: one that is never cut would serve all that follows.
        proxy.cuts = [generator.randrange(*CUT_AFTER_BYTES) for _ in range(MOST_CONNECTIONS)]
        failures = sweep(path, results).failures
        is_through = not failures
        counts["cuts"] += bool(failures)
        counts["unclear"] += sum(not isinstance(failure.error, DeviceLostError) for failure in failures)
    proxy.cuts = []
    ids = [one.id for one in record.read(results)]
    counts["records"] = len(ids)
    counts["doubled"] = len(ids) - len(set(ids))
    counts["lost"] = JOBS - len(set(ids))
    return counts


@contextmanager
def _board() -> Iterator[Board]:
    """A local sshd, and an ``ssh`` on PATH that knows it."""
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as board:
        before = os.environ["PATH"]
        os.environ["PATH"] = f"{make_client(board, Path(folder))}{os.pathsep}{before}"
        yield board
        os.environ["PATH"] = before


def _row(what: str, found: LatencyRecord) -> Row:
    return Row(what, found.latency_ms.median, found.latency_ms.ci95, found.latency_ms.min, found.noisy)


PARTS: dict[str, Part] = {
    "repeat": _repeat,
    "loop": _loop,
    "overhead": _overhead,
    "ssh": _ssh,
    "cuts": _cuts,
}


if __name__ == "__main__":
    main()
