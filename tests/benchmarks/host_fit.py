"""How well this machine's latency can be predicted, and by what: networks and their layers, timed, fitted.

    .venv/bin/python tests/benchmarks/host_fit.py prepare FOLDER             # files, in some minutes
    .venv/bin/python tests/benchmarks/host_fit.py collect FOLDER --minutes 6 # on an idle machine
    .venv/bin/python tests/benchmarks/host_fit.py fit FOLDER                 # the table

``collect`` visits every file in turn until the time is over. A visit alternates between a yardstick, the
file, and the file under LiteRT's profiler, so that a drift of the machine shows and can be divided out.
``fit`` holds predictors against each other, each on networks and on whole families that it did not see.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import report
from edgekit.cli.console import Column
from edgekit.devices.runner.runtimes import RUNTIMES, Invoke
from edgekit.latency_model import LatencyErrors, LatencyModel
from edgekit.machine_fit import PROBES, SPREAD
from edgekit.models import zoo
from edgekit.models.cost import cost
from edgekit.options import Precision
from edgekit.profilers.base import layers_of, random_input
from edgekit.profilers.litert import ProfilingSession
from edgekit.profilers.tflite import align
from edgekit.runtimes import tflite_file
from edgekit.runtimes.tflite import TfliteRunner
from edgekit.search.layer_fit import Timed, fit_layers
from edgekit.search.probes import probes
from edgekit.trial import make_trial, make_yardstick
from report import Claim

PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")
VISITS = "visits.jsonl"
PROBED = {probe.name: probe for probe in probes(PROBES)}
WINDOWS = 3
YARDSTICK_S, PLAIN_S, PROFILE_S = 0.03, 0.12, 0.12
GROUP = 4
ASKED_MEDIAN, ASKED_WITHIN = 5, 95
COLUMNS = (
    Column("precision"),
    Column("predictor"),
    Column("left out"),
    Column("networks", is_number=True),
    Column("median %", is_number=True),
    Column("mean %", is_number=True),
    Column("most %", is_number=True),
    Column("within 10 %", is_number=True),
)


@dataclass(frozen=True)
class Row:
    """Errors of one predictor on networks that its fit did not see."""

    precision: str
    predictor: str
    left_out: str
    networks: int
    errors: LatencyErrors

    def cells(self) -> tuple[str, ...]:
        figures = (self.errors.median, self.errors.mean, self.errors.maximum, self.errors.within_10)
        return (
            self.precision,
            self.predictor,
            self.left_out,
            str(self.networks),
            *(f"{figure:.1f}" for figure in figures),
        )


class Way(NamedTuple):
    """What a predictor learns from beside networks."""

    uses_layers: bool = False
    uses_probes: bool = False


SHIPPED = "networks, layers and probes"
PREDICTORS = {
    "networks": Way(),
    "networks and layers": Way(uses_layers=True),
    SHIPPED: Way(uses_layers=True, uses_probes=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("prepare", "collect", "fit"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--minutes", type=float, default=6.0, help="of collecting")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    work = {"prepare": _prepare, "collect": _collect, "fit": _fit}[args.what]
    report.main(partial(work, args))


def _prepare(args: argparse.Namespace) -> None:
    networks = [(name, *scale) for name, scales in SPREAD for scale in scales]
    for name, width, resolution in networks:
        folder = args.folder / f"{name}_{width:g}_{resolution}"
        folder.mkdir(parents=True, exist_ok=True)
        for precision in PRECISIONS:
            if not (folder / f"{name}_{precision}.tflite").exists():
                network = zoo.network(name, width=width, resolution=resolution)
                make_trial(network, "tflite", precision, folder)
                report.note(f"{folder.name} {precision}")
    for probe in PROBED.values():
        folder = args.folder / f"{probe.name}_1_{probe.scale.resolution}"
        folder.mkdir(parents=True, exist_ok=True)
        for precision in PRECISIONS:
            if not (folder / f"{probe.name}_{precision}.tflite").exists():
                make_trial(probe, "tflite", precision, folder)
                report.note(f"{folder.name} {precision}")
    for precision in PRECISIONS:
        make_yardstick("tflite", precision, args.folder)


def _collect(args: argparse.Namespace) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    files = sorted(args.folder.glob("*/*.tflite"))
    yardsticks = {one: _loaded(next(iter(args.folder.glob(f"*_{one}.tflite")))) for one in PRECISIONS}
    ends_s = time.monotonic() + 60 * args.minutes
    count, order = 0, random.Random(0)
    with (args.folder / VISITS).open("a", encoding="utf-8") as out:
        while time.monotonic() < ends_s:
            order.shuffle(files)
            for path in files:
                if time.monotonic() >= ends_s:
                    break
                precision = path.stem.rsplit("_", 1)[1]
                out.write(json.dumps(_visit(path, yardsticks[precision])) + "\n")
                count += 1
            report.note(f"{count} visits of {len(files)} files")


def _loaded(path: Path) -> Invoke:
    return RUNTIMES[path.suffix](1)[2](str(path))


def _visit(path: Path, yardstick: Invoke) -> dict[str, Any]:
    """Milliseconds of each window: the yardstick, the file, and its operators by their names in the file."""
    plain = _loaded(path)
    session = ProfilingSession(path, 1)
    try:
        for index, port in enumerate(TfliteRunner(path).inputs):
            session.write(index, random_input(port))
        for _ in range(3):
            plain()
        session.run(3)
        events = session.run(1)
        windows = [
            (
                statistics.median(_samples_ms(yardstick, YARDSTICK_S)),
                statistics.median(_samples_ms(plain, PLAIN_S)),
                _profiled(session),
            )
            for _ in range(WINDOWS)
        ]
    finally:
        session.close()
    file = tflite_file.read(path)
    operators = align(events, file.operators)
    names = [file.tensors[one.outputs[0]].name if one else "" for one in operators]
    return {"file": f"{path.parent.name}/{path.name}", "names": names, "windows": windows}


def _samples_ms(invoke: Invoke, seconds: float) -> list[float]:
    samples: list[float] = []
    ends = time.perf_counter() + seconds
    while time.perf_counter() < ends or len(samples) < 2:
        before = time.perf_counter()
        invoke()
        samples.append(1e3 * (time.perf_counter() - before))
    return samples


def _profiled(session: ProfilingSession) -> list[float]:
    """Each operator's median over groups of runs."""
    groups: list[list[float]] = []
    ends = time.perf_counter() + PROFILE_S
    while time.perf_counter() < ends or not groups:
        groups.append([event.ms for event in session.run(GROUP)])
    return [statistics.median(column) for column in zip(*groups, strict=True)]


def _fit(args: argparse.Namespace) -> None:
    machine = report.this_machine()
    lines = (args.folder / VISITS).read_text(encoding="utf-8").splitlines()
    visits = [json.loads(line) for line in lines]
    rows: list[Row] = []
    for precision in PRECISIONS:
        timed = _timed([one for one in visits if one["file"].endswith(f"_{precision}.tflite")])
        rows += [row for name, way in PREDICTORS.items() for row in _judged(timed, way, precision, name)]
    claims = [claim for row in rows if row.predictor == SHIPPED for claim in _claims(row)]
    report.Show(machine, COLUMNS, rows, claims).conclude(as_json=args.json)


def _claims(row: Row) -> tuple[Claim, Claim]:
    what = f"of held-out {row.left_out}, {row.precision}"
    return (
        Claim(f"% median error {what}", row.errors.median, "≤", ASKED_MEDIAN),
        Claim(f"% within ±10 % {what}", row.errors.within_10, "≥", ASKED_WITHIN),
    )


def _timed(visits: Sequence[Mapping[str, Any]]) -> list[Timed]:
    """One row for each file, as if the yardstick had always taken what it usually does."""
    usual_ms = statistics.median(window[0] for one in visits for window in one["windows"])
    by_file: dict[str, list[Mapping[str, Any]]] = {}
    for one in visits:
        by_file.setdefault(one["file"], []).append(one)
    return [_timed_file(file, found, usual_ms) for file, found in sorted(by_file.items())]


def _timed_file(file: str, visits: Sequence[Mapping[str, Any]], usual_ms: float) -> Timed:
    name, width, resolution = file.split("/")[0].rsplit("_", 2)
    network = PROBED.get(name) or zoo.network(name, width=float(width), resolution=int(resolution))
    windows = [window for one in visits for window in one["windows"]]
    ms = statistics.median(window[1] * usual_ms / window[0] for window in windows)
    shares = ([one_ms / sum(window[2]) for one_ms in window[2]] for window in windows)
    times_ms = [ms * statistics.median(column) for column in zip(*shares, strict=True)]
    layers: dict[str, float] = {}
    known = [row.name for row in cost(network).layers()]
    for layer, one_ms in zip(layers_of(visits[0]["names"], known), times_ms, strict=True):
        if layer:
            layers[layer] = layers.get(layer, 0.0) + one_ms
    return Timed(network, ms, layers)


def _judged(timed: Sequence[Timed], way: Way, precision: Precision, name: str) -> Iterator[Row]:
    networks = [one for one in timed if one.network.name not in PROBED]
    model = LatencyModel(
        precision=precision,
        num_threads=1,
        runtime="litert",
        source="timed here",
        detail="layers",
        rows=tuple(one.row for one in networks),
    )
    fitted = fit_layers(
        model,
        [one.layers_ms for one in networks] if way.uses_layers else (),
        [one for one in timed if one.network.name in PROBED] if way.uses_probes else (),
    )
    for left_out, errors in (("networks", fitted.leave_one_out), ("families", fitted.held_out_families)):
        assert errors is not None
        yield Row(precision, name, left_out, len(networks), errors)


if __name__ == "__main__":
    main()
