"""What Arm's compiler for Ethos-U, ``vela``, estimates for a file: cycles, memory, and what the NPU takes.

Every figure is vela's estimate, not a measurement.
"""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from edgekit.errors import MissingExtraError, UnsupportedError
from edgekit.runtimes.tflite_file import TfliteFile, read
from edgekit.target import Npu

__all__ = ["EXTRA", "PACKAGE", "VelaEstimate", "VelaLayer", "VelaReason", "estimate"]

PACKAGE, EXTRA = "ethos-u-vela", "ethos-u"

_CONFIG_FILE = "Arm/vela.ini"  # the one that the package brings
_KIB = 1024
_TIMEOUT_S = 600
_REASON = re.compile(r"operator: (?P<op>\w+), ofm: '(?P<name>[^']*)'\s+Reason: (?P<why>[^\n]*)")
_COUNT = re.compile(r"^(?P<where>CPU|NPU) operators = (?P<count>\d+) ", re.MULTILINE)


@dataclass(frozen=True)
class VelaLayer:
    """One operator as compiled. ``name`` is the tensor that it makes in the file, ``op`` is vela's word."""

    name: str
    op: str
    on_npu: bool
    cycles: int
    macs: int
    sram_bytes: int


@dataclass(frozen=True)
class VelaReason:
    """Why an operator is left to the processor: ``op`` in TFLite's word, ``name`` of the tensor it makes."""

    op: str
    name: str
    reason: str


@dataclass(frozen=True)
class VelaEstimate:
    """One network on one Ethos-U. ``latency_ms`` is one inference at ``clock_mhz``.

    ``sram_bytes`` holds activations and, where the memory mode has them there, weights; ``flash_bytes``
    and ``dram_bytes`` are what lies outside. ``left`` names the operators that the NPU does not take.
    """

    version: str
    npu: Npu
    clock_mhz: float
    latency_ms: float
    cycles: int
    macs: int
    sram_bytes: int
    dram_bytes: int
    flash_bytes: int
    npu_operators: int
    cpu_operators: int
    left: tuple[VelaReason, ...]
    layers: tuple[VelaLayer, ...]

    @property
    def npu_percent(self) -> float:
        """Share of operators that run on the NPU."""
        operators = self.npu_operators + self.cpu_operators
        return 100 * self.npu_operators / operators if operators else 0.0

    def to_json(self) -> dict[str, Any]:
        fields = {name: value for name, value in asdict(self).items() if name not in {"version", "npu"}}
        return {
            "estimator": f"{PACKAGE} {self.version}",
            "npu": {name: getattr(self.npu, name) for name in self.npu.__struct_fields__},
            "npu_percent": self.npu_percent,
            **fields,
        }


def estimate(path: Path | str, npu: Npu) -> VelaEstimate:
    """Compile one ``.tflite`` file for ``npu`` and read what vela estimates.

    Raises MissingExtraError without the package, ModelFileError for what is no TFLite file,
    UnsupportedError for what vela does not compile.
    """
    file = read(path)
    try:
        installed = version(PACKAGE)
    except PackageNotFoundError as exc:
        raise MissingExtraError(PACKAGE, EXTRA, "estimating a network on an Ethos-U") from exc
    with TemporaryDirectory(prefix="edgekit-") as folder:
        report = _compile(file.path, npu, Path(folder))
        summaries = list(Path(folder).glob("*_summary_*.csv"))
        if not summaries:
            raise UnsupportedError(
                f"vela wrote no estimate for {file.path.name}: {_last_words(report)}",
                hint="export it in int8: the NPU computes in integers",
            )
        (summary,) = _rows(summaries[0])
        layers = [row for one in Path(folder).glob("*_per-layer.csv") for row in _rows(one)]
    return _read(file, installed, npu, report, summary, layers)


def _compile(path: Path, npu: Npu, folder: Path) -> str:
    """What vela said. Raises UnsupportedError with its last line when it failed."""
    options = {
        "accelerator-config": npu.config,
        "config": _CONFIG_FILE,
        "system-config": npu.system_config,
        "memory-mode": npu.memory_mode,
        "output-dir": str(folder),
    }
    flags = [text for name, value in options.items() for text in (f"--{name}", value)]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "ethosu.vela", str(path.resolve()), *flags),
            *("--verbose-performance", "--show-cpu-operations"),
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise UnsupportedError(
            f"vela cannot compile {path.name} for {npu.config}: {_last_words(done.stderr or done.stdout)}",
            hint="export it in int8: the NPU computes in integers",
        )
    return done.stdout + done.stderr


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _read(
    file: TfliteFile,
    installed: str,
    npu: Npu,
    report: str,
    summary: Mapping[str, str],
    layers: list[dict[str, str]],
) -> VelaEstimate:
    counts = {found["where"]: int(found["count"]) for found in _COUNT.finditer(report)}
    return VelaEstimate(
        version=installed,
        npu=npu,
        clock_mhz=float(summary["core_clock"]) / 1e6,
        latency_ms=float(summary["inference_time"]) * 1e3,
        cycles=_whole(summary["cycles_total"]),
        macs=_whole(summary["nn_macs"]),
        sram_bytes=_bytes(summary, "sram"),
        dram_bytes=_bytes(summary, "dram"),
        flash_bytes=_bytes(summary, "on_chip_flash") + _bytes(summary, "off_chip_flash"),
        npu_operators=counts.get("NPU", 0),
        cpu_operators=counts.get("CPU", 0),
        left=tuple(_reasons(report, file)),
        layers=tuple(
            VelaLayer(
                row["Name"],
                row["Original Operator"],
                row["Target"] == "NPU",
                _whole(row["Op Cycles"]),
                _whole(row["MAC Count"]),
                _whole(row["Staging Usage"]),
            )
            for row in layers
        ),
    )


def _reasons(report: str, file: TfliteFile) -> Iterator[VelaReason]:
    """What vela says of operators, each by its code in the file: vela takes fused activations apart."""
    codes = {file.tensors[one.outputs[0]].name: one.code for one in file.operators}
    for found in _REASON.finditer(report):
        name = found["name"]
        yield VelaReason(codes.get(name, found["op"]), name, found["why"])


def _whole(text: str) -> int:
    return round(float(text))


def _bytes(summary: Mapping[str, str], memory: str) -> int:
    return round(float(summary[f"{memory}_memory_used"]) * _KIB)
