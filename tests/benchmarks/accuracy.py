"""How near int8 files of EfficientNet-Lite come to their fp32 files: edgekit's in each mode, and the peers'.

    .venv/bin/python tests/benchmarks/accuracy.py [--work FOLDER] [--mode NAME ...]

All are calibrated on the same photographs, but for the mode without data. A script that knows nothing of
edgekit runs each file on other photographs, from what the manifest beside it says, and compares it with the
fp32 file of the same maker. Peers whose interpreters are missing are left out, which is said.
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
from networks import NETWORKS, SUFFIXES, peers, size_bytes
from setting import PEERS, Setting, new_parser, opened

EDGEKIT = "edgekit"
MOST_TFLITE_SIZE = 1.0


@dataclass(frozen=True)
class Mode:
    """One of edgekit's ways to quantize a network, and what it has to reach on other photographs."""

    network: str
    flags: tuple[str, ...]
    calibrated: bool
    least_sqnr_db: float
    least_agreement: float
    most_drop: float


MODES: dict[str, Mode] = {
    "lite0": Mode("efficientnet_lite0", (), True, 22.0, 98.5, 0.4),
    "lite0-high": Mode("efficientnet_lite0", ("--effort", "high"), True, 26.0, 99.0, 0.2),
    "lite1": Mode("efficientnet_lite1", (), True, 22.0, 98.5, 0.4),
    "lite2": Mode("efficientnet_lite2", (), True, 22.0, 98.5, 0.4),
    "lite0-no-data": Mode("efficientnet_lite0", (), False, 20.5, 98.0, 0.8),
}
"""Mode by the name that ``--mode`` takes."""

COLUMNS = (
    Column("maker"),
    Column("mode"),
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
    mode: str
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
            self.mode,
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
    parser.add_argument("--mode", action="append", choices=MODES, help="this mode only; repeatable")
    report.main(partial(_measure, parser.parse_args()))


def _measure(args: argparse.Namespace) -> None:
    machine = report.this_machine()
    with opened(args, tuple(PEERS)) as setting:
        rows = [row for name in args.mode or MODES for row in _ours(setting, name, args.limit)]
        rows += _theirs(setting, args.limit)
    report.Show(machine, COLUMNS, rows, _claims(rows)).conclude(as_json=args.json)


def _ours(setting: Setting, name: str, limit: int | None) -> list[Row]:
    mode = MODES[name]
    int8, fp32 = _export(setting, name, mode, "int8"), _export(setting, mode.network, mode, "fp32")
    return [_row(setting, EDGEKIT, name, int8[suffix], fp32[suffix], limit) for suffix in SUFFIXES]


def _export(setting: Setting, folder_name: str, mode: Mode, precision: str) -> dict[str, Path]:
    """edgekit's file of each format, by suffix; made unless they are there."""
    folder = setting.work / EDGEKIT / f"{folder_name}-{precision}"
    files = {suffix: folder / f"{mode.network}_{precision}{suffix}" for suffix in SUFFIXES}
    if not all(file.is_file() for file in files.values()):
        report.note(f"edgekit: exporting {folder_name} in {precision}")
        command = [sys.executable, "-m", "edgekit", "export", mode.network, "--weights", "imagenet"]
        command += ["--target", "all", "--precision", precision, "-o", str(folder), "--json"]
        if precision == "int8":
            images = ["--calibration", str(setting.calibration)] if mode.calibrated else []
            command += [*images, "--samples", str(setting.samples), *mode.flags]
        children.run(command)
    return files


def _theirs(setting: Setting, limit: int | None) -> list[Row]:
    """The peers that are installed, on Lite0."""
    network, rows = NETWORKS["lite0"], []
    for peer in PEERS.values():
        if not setting.pythons[peer.name].is_file():
            report.note(f"{peer.name} is left out: it has no interpreter at {setting.pythons[peer.name]}")
            continue
        int8, fp32 = (peers(setting, network, [peer], precision) for precision in ("int8", "fp32"))
        rows.append(_row(setting, peer.name, "lite0", int8[peer.suffix], fp32[peer.suffix], limit))
    return rows


def _row(setting: Setting, maker: str, mode: str, file: Path, reference: Path, limit: int | None) -> Row:
    report.note(f"scoring {maker}'s {file.name}")
    scorer = [sys.executable, str(setting.scorer), str(file), str(setting.evaluation)]
    options = ["--reference", str(reference), "--json", *(["--limit", str(limit)] if limit else [])]
    score = json.loads(children.run([*scorer, *options]).stdout)
    return Row(
        maker=maker,
        mode=mode,
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
        if row.maker != EDGEKIT:
            continue
        mode, name = MODES[row.mode], f"{row.mode}, {Path(row.file).suffix[1:]}"
        claims += [
            report.Claim(f"{name}: SQNR in dB", row.sqnr_db, "≥", mode.least_sqnr_db),
            report.Claim(f"{name}: agreement in %", row.agreement, "≥", mode.least_agreement),
            report.Claim(f"{name}: points of top-1 lost", row.drop, "≤", mode.most_drop),
        ]
    tflite = [row.size_bytes for row in rows if row.mode == "lite0" and row.file.endswith(".tflite")]
    if len(tflite) == 2:
        what = "size of the int8 TFLite file, times the peer's"
        claims.append(report.Claim(what, tflite[0] / tflite[1], "≤", MOST_TFLITE_SIZE))
    return claims


if __name__ == "__main__":
    main()
