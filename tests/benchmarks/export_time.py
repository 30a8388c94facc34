"""What a cold ``edgekit export`` to an int8 TFLite file costs, against LiteRT's tools.

    .venv/bin/python tests/benchmarks/export_time.py [--rounds 3]

Both turn a MobileNetV2 with seeded weights into a file, calibrated on the same photographs, each time in a
new process. They take turns; shown are medians of whole-process wall time and processor time, and of the
peak resident set.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import children
import report
from children import Finished
from edgekit.cli.console import Column
from networks import NETWORKS, export_command, peer_command
from setting import PEERS, Setting, new_parser, opened

PEER = PEERS["litert"]
MOST_TIME = 1 / 3
MOST_MEMORY = 1.0
COLUMNS = (
    Column("maker"),
    Column("wall s", is_number=True),
    Column("wall of each round", is_number=True),
    Column("CPU s", is_number=True),
    Column("peak MB", is_number=True),
)


@dataclass(frozen=True)
class Row:
    """Medians over the rounds; ``stages`` is what the maker itself said of its last one."""

    maker: str
    wall_s: float
    wall_s_by_round: tuple[float, ...]
    cpu_s: float
    peak_rss_bytes: int
    stages: str

    def cells(self) -> tuple[str, ...]:
        return (
            self.maker,
            f"{self.wall_s:.2f}",
            " ".join(f"{seconds:.1f}" for seconds in self.wall_s_by_round),
            f"{self.cpu_s:.2f}",
            f"{self.peak_rss_bytes / 1e6:.0f}",
        )


def main() -> None:
    parser = new_parser(__doc__, (PEER.name,))
    parser.add_argument("--rounds", type=int, default=3, help="exports of each")
    report.main(partial(_measure, parser.parse_args()))


def _measure(args: argparse.Namespace) -> None:
    machine = report.this_machine()
    with opened(args, (PEER.name,)) as setting:
        mine, peer = _rows(setting, args.rounds)
    remarks = (
        f"{mine.maker}: {mine.stages}",
        f"{peer.maker}: {peer.stages}",
        f"processor time, times the peer's: {mine.cpu_s / peer.cpu_s:.3g}",
    )
    report.Show(machine, COLUMNS, (mine, peer), _claims(mine, peer), remarks).conclude(as_json=args.json)


def _claims(mine: Row, peer: Row) -> list[report.Claim]:
    memory = mine.peak_rss_bytes / peer.peak_rss_bytes
    return [
        report.Claim("wall time, times the peer's", mine.wall_s / peer.wall_s, "≤", MOST_TIME),
        report.Claim("peak memory, times the peer's", memory, "≤", MOST_MEMORY),
    ]


def _rows(setting: Setting, rounds: int) -> tuple[Row, Row]:
    network = NETWORKS["mobilenet_v2"]
    mine: list[Finished] = []
    peer: list[Finished] = []
    for index in range(rounds):
        report.note(f"round {index + 1} of {rounds}: edgekit, then {PEER.name}")
        own, its = (setting.work / "export_time" / str(index) / maker for maker in ("edgekit", PEER.name))
        its_command = peer_command(setting, network, PEER, its)
        mine.append(children.run(export_command(setting, network, own, precision="int8", target="tflite")))
        peer.append(children.run(its_command))
    its_stages = peer[-1].stdout.splitlines()[-1]
    return _row("edgekit", mine, _own_stages(mine[-1])), _row(PEER.name, peer, its_stages)


def _row(maker: str, runs: Sequence[Finished], stages: str) -> Row:
    return Row(
        maker,
        statistics.median(run.wall_s for run in runs),
        tuple(run.wall_s for run in runs),
        statistics.median(run.cpu_s for run in runs),
        int(statistics.median(run.peak_rss_bytes for run in runs)),
        stages,
    )


def _own_stages(run: Finished) -> str:
    seconds: dict[str, float] = json.loads(run.stdout)["seconds"]
    return ", ".join(f"{stage} {value:.2f} s" for stage, value in seconds.items())


if __name__ == "__main__":
    main()
