"""Random latency budgets on this machine, each met by a network that ``edgekit scale --measure`` finds.

    python tests/benchmarks/scale_measured.py [--budgets N] [--seed N] [--json]

One thread, int8 and fp32 TFLite in turns. The winner's file is then built and timed once more, which is shown
beside. A busy machine lengthens some times and not others: measure on an idle one.
"""

from __future__ import annotations

import argparse
import math
import random
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgekit.cli.console import Column
from edgekit.measure import time_file
from edgekit.measured_scaling import scale_measured
from edgekit.options import Precision
from edgekit.scaling import ScaleOptions
from edgekit.trial import make_trial
from report import Claim, Show, main, note, this_machine

FASTEST_MS, SLOWEST_MS = 4.0, 60.0
FULL = 0.9
COLUMNS = (
    Column("precision"),
    Column("budget ms", is_number=True),
    Column("measured ms", is_number=True),
    Column("again ms", is_number=True),
    Column("share", is_number=True),
    Column("network"),
    Column("top-1 %", is_number=True),
    Column("timed", is_number=True),
    Column("s", is_number=True),
)


@dataclass(frozen=True)
class Line:
    """One budget and the network that met it. ``again_ms`` is a second measurement, of a new file."""

    precision: str
    budget_ms: float
    measured_ms: float
    again_ms: float
    network: str
    top1: float
    timed: int
    seconds: float

    def cells(self) -> tuple[str, ...]:
        return (
            self.precision,
            f"{self.budget_ms:.2f}",
            f"{self.measured_ms:.2f}",
            f"{self.again_ms:.2f}",
            f"{self.measured_ms / self.budget_ms:.1%}",
            self.network,
            f"{self.top1:.1f}",
            str(self.timed),
            f"{self.seconds:.0f}",
        )


def line(budget_ms: float, precision: Precision) -> Line:
    """Search with measurements, and measure the winner once more."""
    result = scale_measured(ScaleOptions([f"{budget_ms:.3f}ms"], target="host", precision=precision))
    best = result.candidates[0]
    with tempfile.TemporaryDirectory() as folder:
        again = time_file(make_trial(best.candidate.network, "tflite", precision, Path(folder)))
    scale = best.candidate.scale
    return Line(
        precision,
        budget_ms,
        best.measured_ms,
        again.median_ms,
        f"{best.candidate.model} {scale.width:g} × {scale.depth:g} at {scale.resolution}",
        best.candidate.top1,
        len(result.candidates) + len(result.missed),
        result.seconds,
    )


def measure() -> None:
    """Print a line for each budget."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--budgets", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    machine = this_machine()
    rng = random.Random(args.seed)
    lines: list[Line] = []
    for index in range(args.budgets):
        budget_ms = math.exp(rng.uniform(math.log(FASTEST_MS), math.log(SLOWEST_MS)))
        precision: Precision = "int8" if index % 2 else "fp32"
        note(f"{budget_ms:.2f} ms in {precision}")
        lines.append(line(budget_ms, precision))
    met = sum(one.measured_ms <= one.budget_ms for one in lines)
    full = sum(FULL * one.budget_ms <= one.measured_ms <= one.budget_ms for one in lines)
    claims = [
        Claim("budgets met as measured, in percent", 100 * met / len(lines), "≥", 100),
        Claim("budgets used to 90 % as measured, in percent", 100 * full / len(lines), "≥", 90),
    ]
    Show(machine, COLUMNS, lines, claims).conclude(as_json=args.json)


if __name__ == "__main__":
    main(measure)
