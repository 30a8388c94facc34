"""How well this machine's latency can be predicted, and by what: networks and their layers, timed, fitted.

    .venv/bin/python tests/benchmarks/host_fit.py measure FILE   # on an idle machine, some minutes
    .venv/bin/python tests/benchmarks/host_fit.py fit FILE       # the table

``measure`` times what ``edgekit targets fit host`` does and keeps it. ``fit`` holds predictors against each
other, each on networks and on whole families that it did not see.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import report
from edgekit.cli.console import Column
from edgekit.cli.progress import watch
from edgekit.latency_model import LatencyErrors, LatencyModel
from edgekit.machine_fit import PROBES, spread, time_networks
from edgekit.options import Precision
from edgekit.search.layer_fit import Timed, fit_layers
from edgekit.search.probes import probes
from edgekit.target import resolve
from report import Claim

PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")
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
    parser.add_argument("what", choices=("measure", "fit"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    report.main(partial({"measure": _measure, "fit": _fit}[args.what], args))


def _measure(args: argparse.Namespace) -> None:
    networks = [*spread(), *probes(PROBES)]
    target = resolve("host")[0]
    with watch() as progress:
        found = {one: time_networks(networks, target, one, progress=progress)[0] for one in PRECISIONS}
    kept = {one: [(row.latency_ms, row.layers_ms) for row in rows] for one, rows in found.items()}
    args.file.write_text(json.dumps(kept), encoding="utf-8")


def _fit(args: argparse.Namespace) -> None:
    machine = report.this_machine()
    kept = json.loads(args.file.read_text(encoding="utf-8"))
    networks = spread()
    rows: list[Row] = []
    for precision in PRECISIONS:
        both = zip([*networks, *probes(PROBES)], kept[precision], strict=True)
        timed = [Timed(network, ms, layers) for network, (ms, layers) in both]
        measured, probed = timed[: len(networks)], timed[len(networks) :]
        for name, way in PREDICTORS.items():
            rows += _judged(measured, probed, way, precision, name)
    claims = [claim for row in rows if row.predictor == SHIPPED for claim in _claims(row)]
    report.Show(machine, COLUMNS, rows, claims).conclude(as_json=args.json)


def _claims(row: Row) -> tuple[Claim, Claim]:
    what = f"of held-out {row.left_out}, {row.precision}"
    return (
        Claim(f"% median error {what}", row.errors.median, "≤", ASKED_MEDIAN),
        Claim(f"% within ±10 % {what}", row.errors.within_10, "≥", ASKED_WITHIN),
    )


def _judged(
    networks: Sequence[Timed], probed: Sequence[Timed], way: Way, precision: Precision, name: str
) -> Iterator[Row]:
    model = LatencyModel(
        precision=precision,
        num_threads=1,
        runtime="litert",
        source="timed here",
        detail="layers",
        rows=tuple(one.row for one in networks),
    )
    layers_ms = [one.layers_ms for one in networks] if way.uses_layers else ()
    fitted = fit_layers(model, layers_ms, probed if way.uses_probes else ())
    for left_out, errors in (("networks", fitted.leave_one_out), ("families", fitted.held_out_families)):
        assert errors is not None
        yield Row(precision, name, left_out, len(networks), errors)


if __name__ == "__main__":
    main()
