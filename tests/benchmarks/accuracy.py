"""How near int8 files of EfficientNet-Lite0 come to their fp32 files: edgekit's, and the peers'.

    .venv/bin/python tests/benchmarks/accuracy.py [--work FOLDER]

All are calibrated on the same photographs. A script that knows nothing of edgekit runs each file on other
photographs, from what the manifest beside it says, and compares it with the fp32 file of the same maker.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import children
import report
from edgekit.cli.console import Column
from networks import NETWORKS, SUFFIXES, ours, peers, size_bytes
from setting import PEERS, Setting, new_parser, opened

EDGEKIT = "edgekit"
LEAST_SQNR_DB = 20.5
LEAST_AGREEMENT_PERCENT = 98.0
MOST_DROP_POINTS = 0.8
MOST_TFLITE_SIZE = 1.0
COLUMNS = (
    Column("maker"),
    Column("file"),
    Column("SQNR dB", is_number=True),
    Column("agreement %", is_number=True),
    Column("top-1 %", is_number=True),
    Column("fp32 top-1 %", is_number=True),
    Column("drop", is_number=True),
    Column("MB", is_number=True),
)


@dataclass(frozen=True)
class Row:
    """One int8 file. Accuracies and agreement in percent; ``reference_top1`` is its maker's fp32 file's."""

    maker: str
    file: str
    sqnr_db: float
    agreement: float
    top1: float
    reference_top1: float
    size_bytes: int

    @property
    def drop(self) -> float:
        """Points of top-1 that int8 costs; negative when it gains."""
        return round(self.reference_top1 - self.top1, 2)

    def cells(self) -> tuple[str, ...]:
        return (
            self.maker,
            self.file,
            f"{self.sqnr_db:.2f}",
            f"{self.agreement:.1f}",
            f"{self.top1:.1f}",
            f"{self.reference_top1:.1f}",
            f"{self.drop:+.1f}",
            f"{self.size_bytes / 1e6:.2f}",
        )


def main() -> None:
    parser = new_parser(__doc__, tuple(PEERS))
    parser.add_argument("--limit", type=int, metavar="N", help="score on the first N photographs only")
    report.main(partial(_measure, parser.parse_args()))


def _measure(args: argparse.Namespace) -> None:
    machine = report.this_machine()
    with opened(args, tuple(PEERS)) as setting:
        rows = _rows(setting, args.limit)
    report.Show(machine, COLUMNS, rows, _claims(rows)).conclude(as_json=args.json)


def _rows(setting: Setting, limit: int | None) -> list[Row]:
    network = NETWORKS["lite0"]
    among = tuple(PEERS.values())
    int8, fp32 = (peers(setting, network, among, precision) for precision in ("int8", "fp32"))
    theirs = [(peer.name, int8[peer.suffix], fp32[peer.suffix]) for peer in among]
    int8, fp32 = (ours(setting, network, precision) for precision in ("int8", "fp32"))
    mine = [(EDGEKIT, int8[suffix], fp32[suffix]) for suffix in SUFFIXES]
    return [_row(setting, *pair, limit) for pair in mine + theirs]


def _row(setting: Setting, maker: str, file: Path, reference: Path, limit: int | None) -> Row:
    report.note(f"scoring {maker}'s {file.name}")
    scorer = [sys.executable, str(setting.scorer), str(file), str(setting.evaluation)]
    options = ["--reference", str(reference), "--json", *(["--limit", str(limit)] if limit else [])]
    score = json.loads(children.run([*scorer, *options]).stdout)
    return Row(
        maker=maker,
        file=file.name,
        sqnr_db=score["sqnr_db"],
        agreement=score["agreement"],
        top1=score["top1"],
        reference_top1=score["reference_top1"],
        size_bytes=size_bytes(file),
    )


def _claims(rows: list[Row]) -> list[report.Claim]:
    claims = []
    for row in rows:
        if row.maker == EDGEKIT:
            claims += [
                report.Claim(f"{row.file}, SQNR in dB", row.sqnr_db, "≥", LEAST_SQNR_DB),
                report.Claim(f"{row.file}, agreement in %", row.agreement, "≥", LEAST_AGREEMENT_PERCENT),
                report.Claim(f"{row.file}, points of top-1 lost", row.drop, "≤", MOST_DROP_POINTS),
            ]
    mine, peer = (row.size_bytes for row in rows if row.file.endswith(".tflite"))
    size = report.Claim("size of the int8 TFLite file, times the peer's", mine / peer, "≤", MOST_TFLITE_SIZE)
    return [*claims, size]


if __name__ == "__main__":
    main()
