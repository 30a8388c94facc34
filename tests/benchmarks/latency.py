"""How long edgekit's files take, against the peers' files of the same network in the same runtime.

    .venv/bin/python tests/benchmarks/latency.py [--network lite0] [--work FOLDER]

One process, one thread, one core. Every pair of files is run in turns, a few runs at a time; shown are the
medians, their ratio with its confidence interval, and the ratio of processor time, which other processes
disturb less. The runtimes are those of this interpreter's environment, for the peers' files too.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

import report
from edgekit import runtimes
from edgekit.cli.console import Column
from edgekit.runtimes import Runner
from networks import NETWORKS, SUFFIXES, Network, ours, peers, size_bytes
from rounds import Ratio, Rounds, in_turns, pin_to_one_core
from setting import PEERS, Setting, new_parser, opened

PRECISIONS = ("fp32", "int8")
MOST_TIME = dict.fromkeys(((s, p) for s in SUFFIXES for p in PRECISIONS), 1.02) | {(".xml", "int8"): 0.85}
MOST_TFLITE_SIZE = 1.0
COLUMNS = (
    Column("runtime"),
    Column("precision"),
    Column("edgekit ms", is_number=True),
    Column("peer ms", is_number=True),
    Column("ratio", is_number=True),
    Column("95 % CI", is_number=True),
    Column("CPU ratio", is_number=True),
    Column("95 % CI", is_number=True),
    Column("core %", is_number=True),
    Column("MB", is_number=True),
    Column("peer MB", is_number=True),
    Column("size ratio", is_number=True),
)


@dataclass(frozen=True)
class Row:
    """One runtime and precision: edgekit's file against the peer's."""

    runtime: str
    suffix: str
    precision: str
    edgekit_ms: float
    peer_ms: float
    wall: Ratio
    cpu: Ratio
    core_share: float
    edgekit_bytes: int
    peer_bytes: int

    @property
    def size_ratio(self) -> float:
        return self.edgekit_bytes / self.peer_bytes

    def cells(self) -> tuple[str, ...]:
        return (
            self.runtime,
            self.precision,
            f"{self.edgekit_ms:.2f}",
            f"{self.peer_ms:.2f}",
            *_ratio_cells(self.wall),
            *_ratio_cells(self.cpu),
            f"{100 * self.core_share:.0f}",
            f"{self.edgekit_bytes / 1e6:.2f}",
            f"{self.peer_bytes / 1e6:.2f}",
            f"{self.size_ratio:.3f}",
        )


def main() -> None:
    parser = new_parser(__doc__, tuple(PEERS))
    parser.add_argument("--network", choices=NETWORKS, default="lite0")
    parser.add_argument("--rounds", type=int, default=100, help="turns of each pair of files")
    parser.add_argument("--batch", type=int, default=5, help="runs in a turn")
    parser.add_argument("--warmup", type=int, default=20, help="runs of each file before the first turn")
    args = parser.parse_args()
    report.main(partial(_measure, args))


def _measure(args: argparse.Namespace) -> None:
    machine = report.this_machine()
    time_pair = partial(in_turns, rounds=args.rounds, batch=args.batch, warmup=args.warmup)
    with opened(args, tuple(PEERS)) as setting:
        rows = _rows(setting, NETWORKS[args.network], time_pair)
    report.Show(machine, COLUMNS, rows, _claims(rows)).conclude(as_json=args.json)


def _rows(setting: Setting, network: Network, time_pair: Callable[..., Rounds]) -> list[Row]:
    pairs = []
    for precision in PRECISIONS:
        theirs = peers(setting, network, tuple(PEERS.values()), precision)
        mine = ours(setting, network, precision)
        pairs += [(precision, suffix, mine[suffix], theirs[suffix]) for suffix in SUFFIXES]
    pin_to_one_core()  # after the files were made, which may use all cores
    return [_row(time_pair, *pair) for pair in pairs]


def _row(time_pair: Callable[..., Rounds], precision: str, suffix: str, mine: Path, theirs: Path) -> Row:
    runners = [runtimes.load(file, num_threads=1) for file in (mine, theirs)]
    report.note(f"{runners[0].runtime}: timing {precision}")
    measured = time_pair(*map(_call, runners))
    return Row(
        f"{runners[0].runtime} {runners[0].version}",
        suffix,
        precision,
        *measured.median_ms(),
        measured.wall_ratio(),
        measured.cpu_ratio(),
        measured.core_share(),
        size_bytes(mine),
        size_bytes(theirs),
    )


def _call(runner: Runner) -> Callable[[], object]:
    """Run the file on an input of its own kind: noise, as pixels or normalized."""
    port = runner.input
    shape = [abs(size) for size in port.shape]
    pixels = np.random.default_rng(0).integers(0, 256, shape)
    by_dtype = {"uint8": pixels, "int8": pixels - 128, "float32": (pixels - 127) / 128}
    return partial(runner.run, by_dtype[port.dtype].astype(port.dtype))


def _claims(rows: list[Row]) -> list[report.Claim]:
    times = [
        report.Claim(
            f"{row.runtime} {row.precision}, times the peer's latency",
            row.wall.value,
            "≤",
            MOST_TIME[row.suffix, row.precision],
        )
        for row in rows
    ]
    sizes = [
        report.Claim("size of the int8 TFLite file, times the peer's", row.size_ratio, "≤", MOST_TFLITE_SIZE)
        for row in rows
        if (row.suffix, row.precision) == (".tflite", "int8")
    ]
    return times + sizes


def _ratio_cells(ratio: Ratio) -> tuple[str, str]:
    return f"{ratio.value:.3f}", f"{ratio.low:.3f}–{ratio.high:.3f}"


if __name__ == "__main__":
    main()
