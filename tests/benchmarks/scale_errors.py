"""How far the predictors of ``edgekit scale`` err on rows they did not see, and how well budgets are used.

    python tests/benchmarks/scale_errors.py [--shared FOLDER] [--budgets N] [--seed N] [--json]

Accuracy and latency: each published row is left out of the fit once and predicted by the rest; the last
column has the same for a line through zero on multiply-adds alone. Rows are those that the package ships,
held against the published tables where that folder is there. Budgets: random ones of every kind, joined at
random, on every target; processor time is of the searches alone.
"""

from __future__ import annotations

import argparse
import csv
import math
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekit import target
from edgekit.cli.console import Column
from edgekit.errors import CheckError
from edgekit.options import Scale
from edgekit.search.accuracy import laws
from edgekit.search.accuracy_fit import leave_one_out, rank_correlation
from edgekit.search.budget import Budget, parse
from edgekit.search.candidate import Evaluator, Setting, fits, use_of
from edgekit.search.latency import prices_of
from edgekit.search.latency_fit import fit_target
from edgekit.search.search import FULL_USE, find
from report import Claim, Show, main, note, this_machine

CHECKOUT = Path(__file__).resolve().parents[2]
ENOUGH_ROWS = 10
POINTS = {"mobilenet_v1": 0.4, "mobilenet_v2": 0.4, "efficientnet_b0": 0.3, "efficientnet_lite0": 0.3}
COLUMNS = (
    Column("predictor"),
    Column("rows", is_number=True),
    Column("median", is_number=True),
    Column("mean", is_number=True),
    Column("largest", is_number=True),
    Column("within 10 %", is_number=True),
    Column("multiply-adds alone", is_number=True),
)
RANGES = {
    "MMACs": (15, 20_000),
    "Mparams": (0.5, 60),
    "MB": (0.8, 100),
    "KB-ram": (256, 16_000),
    "ms": (0.05, 20),  # times that of MobileNetV2
}


@dataclass(frozen=True)
class Line:
    """Errors of one predictor: points of top-1, or percent of latency."""

    predictor: str
    rows: int
    unit: str
    median: float
    mean: float
    largest: float
    within_10: float | None = None
    macs_only: float | None = None

    def cells(self) -> tuple[str, ...]:
        errors = (f"{error:.2f} {self.unit}" for error in (self.median, self.mean, self.largest))
        share = "" if self.within_10 is None else f"{self.within_10:.0f} %"
        alone = "" if self.macs_only is None else f"{self.macs_only:.2f} {self.unit}"
        return (self.predictor, str(self.rows), *errors, share, alone)


def accuracy_lines() -> Iterator[tuple[Line, list[Claim]]]:
    for law in laws():
        left_out = leave_one_out(law)
        if not left_out:
            continue
        errors = [abs(one.error) for one in left_out]
        name = f"top-1 of {law.reference}"
        line = Line(
            name, len(errors), "points", statistics.median(errors), statistics.fmean(errors), max(errors)
        )
        rank = rank_correlation([(one.predicted, one.row.top1) for one in left_out])
        yield (
            line,
            [
                Claim(f"{name}, mean error in points", line.mean, "≤", POINTS[law.reference]),
                Claim(f"{name}, rank correlation", rank, "≥", 0.99),
            ],
        )


def latency_lines() -> Iterator[tuple[Line, list[Claim]]]:
    for one in target.all_targets():
        for model in fit_target(one).latency if one.latency else ():
            errors = model.leave_one_out
            assert errors is not None
            name = f"{one.name}: {model.title}"
            yield (
                Line(
                    name,
                    len(model.rows),
                    "%",
                    errors.median,
                    errors.mean,
                    errors.maximum,
                    errors.within_10,
                    errors.macs_only_median,
                ),
                [
                    Claim(f"{name}, median error in percent", errors.median, "≤", 4.0),
                    Claim(f"{name}, percent of rows within 10 %", errors.within_10, "≥", 92.0),
                ]
                if len(model.rows) >= ENOUGH_ROWS
                else [],
            )


def budget_claims(count: int, seed: int) -> list[Claim]:
    """Random budgets: how many were exceeded by any candidate, used by the best, and how fast."""
    rng = random.Random(seed)
    models = [model for one in target.all_targets() for model in one.latency]
    exceeded = used = met = configurations = 0
    seconds = 0.0
    for _ in range(count):
        model = rng.choice(models)
        setting = Setting("tflite", model.precision, prices_of(model))
        budgets = [
            random_budget(rng, unit, setting) for unit in rng.sample(list(RANGES), rng.choice([1, 1, 2, 3]))
        ]
        evaluator = Evaluator(setting)
        before = time.process_time()
        try:
            candidates = find(evaluator, budgets)
        except CheckError:
            continue
        seconds += time.process_time() - before
        configurations += len(evaluator.seen)
        met += 1
        exceeded += not all(fits(candidate, budgets) for candidate in candidates)
        used += use_of(candidates[0], budgets)[0] >= FULL_USE
    return [
        Claim(f"budgets of {met} that a candidate exceeds", exceeded, "≤", 0),
        Claim("percent of budgets that the best uses to 97 %", 100 * used / met, "≥", 97),
        Claim("configurations a second of processor time", configurations / seconds, "≥", 2000),
    ]


def random_budget(rng: random.Random, unit: str, setting: Setting) -> Budget:
    low, high = RANGES[unit]
    amount = math.exp(rng.uniform(math.log(low), math.log(high)))
    if unit == "ms":
        base = Evaluator(setting).candidate("mobilenet_v2", Scale()).latency_ms
        assert base is not None
        amount *= base
    return parse(f"{amount:.6f}{unit}")


def published(shared: Path) -> list[str]:
    """Which rows are not in the published tables, where those are at hand."""
    folder = shared / "reference"
    if not folder.is_dir():
        return [f"The published tables in {folder} are not there; the rows were not held against them."]
    accuracies = read(folder / "imagenet_accuracy.csv", "top1")
    latencies = read(folder / "mobile_latency.csv", "latency_ms")
    strange = [
        f"{law.reference} {row}"
        for law in laws()
        for row in law.rows
        if (law.source, row.top1) not in accuracies
    ]
    strange += [
        f"{one.name} {row}"
        for one in target.all_targets()
        for model in one.latency
        for row in model.rows
        if (model.source, row.latency_ms) not in latencies
    ]
    return [f"Not in the published tables: {one}" for one in strange] or [
        "Every row is in the published tables."
    ]


def read(path: Path, column: str) -> set[tuple[str, float]]:
    with path.open(encoding="utf-8", newline="") as file:
        return {(row["source"], float(row[column])) for row in csv.DictReader(file)}


def measure() -> None:
    """Print the table of errors."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=CHECKOUT.parent / "shared")
    parser.add_argument("--budgets", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    machine = this_machine()
    note("leaving out every published row once")
    found = [*accuracy_lines(), *latency_lines()]
    note(f"searching for {args.budgets} random budgets")
    claims = [claim for _, several in found for claim in several] + budget_claims(args.budgets, args.seed)
    Show(machine, COLUMNS, [line for line, _ in found], claims, published(args.shared)).conclude(
        as_json=args.json
    )


if __name__ == "__main__":
    main(measure)
