"""Measuring files on a device: what is asked for, what came back, and what either harness has to give."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from edgekit.devices import Device, Harness
from edgekit.errors import DeviceError, InputError, ModelFileError
from edgekit.files import sha256_of
from edgekit.options import SUFFIXES as FORMAT_SUFFIXES
from edgekit.options import Format

__all__ = [
    "HARNESSES",
    "SUFFIXES",
    "BenchmarkOptions",
    "Measurement",
    "Progress",
    "Protocol",
    "check",
    "files_of",
    "measure",
]

Progress: TypeAlias = Callable[[str, int, int], None]

SUFFIXES: dict[str, Format] = {suffix: format_ for format_, suffix in FORMAT_SUFFIXES.items()}
"""Suffix of a file that can be measured → its format."""

HARNESSES: dict[Harness, str] = {
    "runner": "edgekit.measure.runner_harness",
    "benchmark_model": "edgekit.measure.tool_harness",
}
"""A device's harness → the module whose ``measure`` uses it."""


@dataclass(frozen=True)
class Protocol:
    """How a measurement is made.

    ``num_runs`` asks for exactly so many samples of each file, by default as many as fit ``seconds``, but
    at least 10; ``warmup_runs`` for exactly so many runs before, by default as many as it takes to become
    steady. ``sustained_s`` runs each file for so long without a pause. ``cpus`` is ``"auto"`` (as many as
    threads, of the fastest kind, the idlest), ``"all"``, or numbers such as ``"2,3"``. ``accelerator``
    is one of :data:`edgekit.target.Accelerator`, by default the processor's cores; ``force`` times it
    although it answers otherwise than they do.
    """

    num_threads: int = 1
    num_runs: int | None = None
    warmup_runs: int | None = None
    seconds: float = 5.0
    sustained_s: float | None = None
    cpus: str = "auto"
    accelerator: str | None = None
    force: bool = False

    def __post_init__(self) -> None:
        least = {"num_threads": 1, "num_runs": 1, "warmup_runs": 0, "seconds": 0.0, "sustained_s": 1.0}
        for name, limit in least.items():
            value = getattr(self, name)
            if value is not None and value < limit:
                raise InputError(f"{name} is {value}, expected {limit} or more")
        if self.cpus not in ("auto", "all") and not self.cpus.replace(",", "").isdigit():
            raise InputError(f"CPUs {self.cpus!r} were given, expected auto, all, or numbers such as 2,3")


@dataclass(frozen=True)
class BenchmarkOptions:
    """How :func:`edgekit.benchmark` measures; the fields are the flags of ``edgekit benchmark``.

    ``target`` is a target's name, whose limits the files have to keep unless ``force``; ``device`` is where
    they run. ``num_threads`` ``None`` takes the target's number, else one. The rest is :class:`Protocol`'s.
    """

    target: str | None = None
    device: str = "local"
    num_threads: int | None = None
    num_runs: int | None = None
    warmup_runs: int | None = None
    seconds: float = Protocol.seconds
    sustained_s: float | None = None
    cpus: str = Protocol.cpus
    force: bool = False


@dataclass(frozen=True)
class Measurement:
    """What a device reported of one file.

    ``turns`` are the samples of each turn in milliseconds; ``at_s`` is when each began in a sustained run.
    ``cpu_share`` is processor time over wall time, ``others`` how many cores other processes kept busy.
    ``before`` and ``after`` are states of the machine as the runner describes them. ``runtime_memory_bytes``
    is what loading and the first inference added to the process's own memory, ``deviation`` how far an
    accelerator's answers are from the processor's, relative to them (root mean squares).
    """

    sha256: str
    runtime: str
    runtime_version: str
    load_ms: float
    first_inference_ms: float
    warmup_runs: int
    turns: tuple[tuple[float, ...], ...]
    is_steady: bool = True
    at_s: tuple[float, ...] = ()
    cpu_share: float | None = None
    others: float | None = None
    clocks_mhz: tuple[float, ...] = ()
    clock_jump_s: float = 0.0
    peak_memory_bytes: int | None = None
    arena_bytes: int | None = None
    runtime_memory_bytes: int | None = None
    deviation: float | None = None
    machine: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    cpus: tuple[int, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def samples_ms(self) -> tuple[float, ...]:
        return tuple(sample for turn in self.turns for sample in turn)


def measure(
    device: Device, paths: Sequence[Path], protocol: Protocol, progress: Progress | None = None
) -> list[Measurement]:
    """Measure the files at ``paths`` on ``device``, taking turns; one measurement each, in their order.

    ``progress`` hears of the stage ``"measure"`` in percent. Raises ModelFileError for a file that is
    missing or that the runtime refuses, DeviceError for what the device cannot do, and DeviceLostError
    when the connection is cut, after which nothing was measured.
    """
    for path in paths:
        files_of(path)
    harness = importlib.import_module(HARNESSES[device.harness])
    found: list[Measurement] = harness.measure(device, paths, protocol, progress)
    for path, one in zip(paths, found, strict=True):
        if one.sha256 != sha256_of(path):
            raise DeviceError(
                f"{device.name} measured another file than {path}", hint="was it changed meanwhile?"
            )
    return found


def check(device: Device) -> dict[str, Any]:
    """What the device says of itself: ``machine``, ``state``, ``packages``, free disk and memory in bytes.

    Raises DeviceError when it cannot be reached or lacks what measures there.
    """
    found: dict[str, Any] = importlib.import_module(HARNESSES[device.harness]).check(device)
    return found


def files_of(path: Path) -> list[Path]:
    """The file and what belongs to it: the ``.bin`` of an ``.xml``.

    Raises ModelFileError for a suffix that is unknown and for a file that is missing or empty.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ModelFileError(
            f"{path} has the suffix {path.suffix or '(none)'!r}, expected one of {', '.join(SUFFIXES)}",
            hint="OpenVINO models are given by their .xml file" if path.suffix == ".bin" else "",
        )
    files = [path, path.with_suffix(".bin")] if path.suffix.lower() == ".xml" else [path]
    for file in files:
        if not file.is_file() or not file.stat().st_size:
            raise ModelFileError(
                f"{file} is {'empty' if file.is_file() else 'not a file'}", hint="check the path"
            )
    return files
