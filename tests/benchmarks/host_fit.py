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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import report
from edgekit.cli.console import Column
from edgekit.devices.runner.runtimes import RUNTIMES, Invoke
from edgekit.machine_fit import SPREAD
from edgekit.models import zoo
from edgekit.models.cost import cost
from edgekit.models.deployed import Step, steps_of
from edgekit.models.network import Network
from edgekit.options import Precision
from edgekit.profilers.base import layers_of, random_input
from edgekit.profilers.litert import ProfilingSession
from edgekit.profilers.tflite import align
from edgekit.runtimes import tflite_file
from edgekit.runtimes.tflite import TfliteRunner
from edgekit.search.layer_work import step_forms
from edgekit.search.nonnegative import solve
from edgekit.trial import make_trial, make_yardstick
from report import Claim

PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")
VISITS = "visits.jsonl"
WINDOWS = 3
YARDSTICK_S, PLAIN_S, PROFILE_S = 0.03, 0.12, 0.12
GROUP = 4
QUIET = 1.04
NETWORK_WEIGHT = 3.0
RIDGE = 1e-4
FOLDS = 10
NEAR = 0.35  # of the logarithms of sizes
FEW = 0.3
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

Vector = npt.NDArray[np.float64]
Forms = Callable[[Step, Sequence[float]], dict[str, float]]


@dataclass(frozen=True)
class Row:
    """Errors of one predictor on networks that its fit did not see."""

    precision: str
    predictor: str
    left_out: str
    errors: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(map(abs, self.errors))

    @property
    def within_10(self) -> float:
        return 100 * sum(abs(error) <= 10 for error in self.errors) / len(self.errors)

    def cells(self) -> tuple[str, ...]:
        sizes = [abs(error) for error in self.errors]
        figures = (self.median, statistics.fmean(sizes), max(sizes), self.within_10)
        return (
            self.precision,
            self.predictor,
            self.left_out,
            str(len(sizes)),
            *(f"{figure:.1f}" for figure in figures),
        )


class Way(NamedTuple):
    """A predictor: what it charges for, and whether it learns from layers and from the nearest ones again."""

    forms: Forms
    uses_layers: bool
    uses_neighbours: bool = False


class Timed(NamedTuple):
    """A network, milliseconds of its inference, and of its layers by name; these sum to the whole."""

    network: Network
    ms: float
    layers: dict[str, float]


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
    make_yardstick("tflite", "int8", args.folder)


def _collect(args: argparse.Namespace) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    files = sorted(args.folder.glob("*/*.tflite"))
    yardstick = _loaded(next(iter(args.folder.glob("*.tflite"))))
    ends_s = time.monotonic() + 60 * args.minutes
    count, order = 0, random.Random(0)
    with (args.folder / VISITS).open("a", encoding="utf-8") as out:
        while time.monotonic() < ends_s:
            order.shuffle(files)
            for path in files:
                if time.monotonic() >= ends_s:
                    break
                out.write(json.dumps(_visit(path, yardstick)) + "\n")
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
    usual_ms = float(np.percentile([window[0] for one in visits for window in one["windows"]], 25))
    rows: list[Row] = []
    claims: list[Claim] = []
    for precision in PRECISIONS:
        timed = _timed([one for one in visits if one["file"].endswith(f"_{precision}.tflite")], usual_ms)
        for name, way in PREDICTORS.items():
            rows += _judged(timed, way, precision, name)
        best = min((row for row in rows if _is_family(row, precision)), key=lambda row: row.median)
        what = f"of held-out families, {precision}, {best.predictor}"
        claims += [
            Claim(f"% median error {what}", best.median, "≤", ASKED_MEDIAN),
            Claim(f"% within ±10 % {what}", best.within_10, "≥", ASKED_WITHIN),
        ]
    report.Show(machine, COLUMNS, rows, claims).conclude(as_json=args.json)


def _is_family(row: Row, precision: str) -> bool:
    return row.precision == precision and row.left_out == "families"


def _timed(visits: Sequence[Mapping[str, Any]], usual_ms: float) -> list[Timed]:
    """One row for each file: of its quiet windows, else of its two quietest."""
    by_file: dict[str, list[Mapping[str, Any]]] = {}
    for one in visits:
        by_file.setdefault(one["file"], []).append(one)
    return [_timed_file(file, found, usual_ms) for file, found in sorted(by_file.items())]


def _timed_file(file: str, visits: Sequence[Mapping[str, Any]], usual_ms: float) -> Timed:
    name, width, resolution = file.split("/")[0].rsplit("_", 2)
    network = zoo.network(name, width=float(width), resolution=int(resolution))
    windows = sorted((window for one in visits for window in one["windows"]), key=lambda window: window[0])
    quiet = [window for window in windows if window[0] <= QUIET * usual_ms] or windows[:2]
    ms = statistics.median(window[1] * usual_ms / window[0] for window in quiet)
    times_ms = [statistics.median(column) for column in zip(*(window[2] for window in quiet), strict=True)]
    layers: dict[str, float] = {}
    known = [row.name for row in cost(network).layers()]
    for layer, one_ms in zip(layers_of(visits[0]["names"], known), times_ms, strict=True):
        if layer:
            layers[layer] = layers.get(layer, 0.0) + one_ms
    scale = ms / sum(layers.values())
    return Timed(network, ms, {layer: scale * one_ms for layer, one_ms in layers.items()})


def _judged(timed: Sequence[Timed], way: Way, precision: str, name: str) -> Iterator[Row]:
    kinds, designs = _designs(timed, way.forms)
    families = [one.network.family for one in timed]
    folds = [index % FOLDS for index in np.random.default_rng(0).permutation(len(timed)).tolist()]
    for left_out, groups in (("networks", folds), ("families", families)):
        errors: list[float] = []
        for group in dict.fromkeys(groups):
            seen = [index for index, other in enumerate(groups) if other != group]
            known, known_designs = [timed[i] for i in seen], [designs[i] for i in seen]
            prices = _prices(known, known_designs, len(kinds), way.uses_layers)
            near = _Neighbours(known, known_designs, prices) if way.uses_neighbours else None
            for index, other in enumerate(groups):
                if other == group:
                    predicted = sum(_layer_ms(row, prices, near) for row in designs[index].values())
                    errors.append(100 * (predicted / timed[index].ms - 1))
        yield Row(precision, name, left_out, tuple(errors))


def _designs(timed: Sequence[Timed], forms: Forms) -> tuple[list[str], list[dict[str, Vector]]]:
    """For each network and layer how much it has of each kind."""
    found = [dict(_layer_forms(one.network, forms)) for one in timed]
    kinds = sorted({kind for layers in found for amounts in layers.values() for kind in amounts})
    return kinds, [
        {layer: np.array([amounts.get(kind, 0.0) for kind in kinds]) for layer, amounts in layers.items()}
        for layers in found
    ]


def _layer_forms(network: Network, forms: Forms) -> Iterator[tuple[str, dict[str, float]]]:
    names = iter(cost(network).layers())
    for run in network.runs:
        areas = [float(height * width) for height, width in run.site.sizes]
        for _ in range(run.repeat):
            for step in steps_of(run.site.structure):
                yield next(names).name, forms(step, areas)


def _prices(
    timed: Sequence[Timed], designs: Sequence[dict[str, Vector]], count: int, uses_layers: bool
) -> Vector:
    """Milliseconds of each unit by least squares of the networks' relative errors, and of their layers'.

    A layer's error counts by its share of its network.
    """
    rows: list[Vector] = []
    values: list[float] = []
    for one, design in zip(timed, designs, strict=True):
        rows.append(NETWORK_WEIGHT * np.sum(list(design.values()), axis=0) / one.ms)
        values.append(NETWORK_WEIGHT)
        for layer, ms in one.layers.items() if uses_layers else ():
            weight = 1 / np.sqrt(max(ms, 2e-3) * one.ms)
            rows.append(weight * design[layer])
            values.append(float(weight * ms))
    matrix = np.array(rows)
    means = matrix.mean(axis=0)
    means[means == 0] = 1.0
    scaled = matrix / means
    weights = [RIDGE * len(rows)] * count
    prices: Vector = np.array(solve(scaled.tolist(), values, weights=weights)) / means
    return prices


class _Neighbours:
    """What prices leave unexplained of layers of the same kernel, by how near their sizes are."""

    def __init__(self, timed: Sequence[Timed], designs: Sequence[dict[str, Vector]], prices: Vector) -> None:
        found: dict[tuple[int, ...], list[tuple[Vector, float]]] = {}
        for one, design in zip(timed, designs, strict=True):
            for layer, ms in one.layers.items():
                row = design[layer]
                if (predicted := float(row @ prices)) > 0 < ms:
                    found.setdefault(_key(row), []).append((_sizes(row), float(np.log(ms / predicted))))
        self._known = {
            key: (np.array([sizes for sizes, _ in layers]), np.array([left for _, left in layers]))
            for key, layers in found.items()
        }

    def factor(self, row: Vector) -> float:
        """What to multiply a layer's prediction by: 1 where nothing near was seen."""
        if _key(row) not in self._known:
            return 1.0
        sizes, left = self._known[_key(row)]
        distances = np.sqrt(np.mean((sizes - _sizes(row)) ** 2, axis=1))
        weights = np.exp(-((distances / NEAR) ** 2) / 2)
        return float(np.exp(weights @ left / (weights.sum() + FEW)))


def _key(row: Vector) -> tuple[int, ...]:
    return tuple(np.flatnonzero(row).tolist())


def _sizes(row: Vector) -> Vector:
    return np.log(row[row > 0])


def _layer_ms(row: Vector, prices: Vector, near: _Neighbours | None) -> float:
    return float(row @ prices) * (near.factor(row) if near else 1.0)


def _production(step: Step, areas: Sequence[float]) -> dict[str, float]:
    """The kinds that ``edgekit targets fit host`` uses."""
    return {
        kind: sum(factor * areas[extent] for extent, factor in factors.items())
        for kind, factors in step_forms(step).items()
    }


def _tiled(step: Step, areas: Sequence[float]) -> dict[str, float]:
    """Those kinds, and for full convolutions what part-filled tiles and the arrangement of windows cost."""
    amounts = _production(step, areas)
    (kind,) = [name for name in ("pointwise", "convolution") if f"{name}_mac" in amounts] or [""]
    if not kind:
        return amounts
    pixels, channels, products = areas[step.out.extent], step.out.channels, step.products
    return amounts | {
        f"{kind}_tile": pixels * _up(channels, 64) * _up(products, 64),
        f"{kind}_pixel": pixels,
        f"{kind}_column": pixels * products,
    }


def _up(size: int, pack: int) -> int:
    return -(-size // pack) * pack


PREDICTORS: dict[str, Way] = {
    "kinds, from networks": Way(_production, uses_layers=False),
    "kinds, from layers": Way(_production, uses_layers=True),
    "kinds, and near layers": Way(_production, uses_layers=True, uses_neighbours=True),
    "tiles, from layers": Way(_tiled, uses_layers=True),
    "tiles, and near layers": Way(_tiled, uses_layers=True, uses_neighbours=True),
}


if __name__ == "__main__":
    main()
