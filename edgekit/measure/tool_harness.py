"""Measuring with LiteRT's ``benchmark_model``, where a device has no Python.

The tool prints a summary, not its samples: each turn is one call of it, and the turn's sample is the median
that it printed, or the average where it is too old to print medians. Its figures are in microseconds.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from edgekit.devices import Device
from edgekit.devices.adb import AdbDevice
from edgekit.devices.process import Ended
from edgekit.errors import EdgekitError, ModelFileError, UnsupportedError
from edgekit.measure.session import Measurement, Progress, Protocol, files_of

__all__ = ["check", "measure"]

_TURNS = 10
_MOST_S = 900.0
_DEFAULT_RUNS = 50

_TIMINGS = re.compile(
    r"Inference timings in us: Init: (?P<init>[\d.e+]+), First inference: (?P<first>[\d.e+]+), "
    r"Warmup \(avg\): (?P<warmup>[\d.e+]+), Inference \(avg\): (?P<average>[\d.e+]+)"
)
_SCRIPT = '"$0" "$@" 2>&1 || echo "exit code $?"'
_EXIT_CODE = re.compile(r"^exit code (\d+)$", re.MULTILINE)
_COUNT = re.compile(r"\bcount=(\d+)")
_MEDIAN = re.compile(r"\bmedian=([\d.e+]+)")
_PEAK_MB = re.compile(r"[Pp]eak memory footprint \(MB\)[^:=]*[:=]\s*(?:overall=)?([\d.e+]+)")
_OVERALL_MB = re.compile(
    r"Memory footprint delta from the start of the tool \(MB\): init=\S+ overall=([\d.e+]+)"
)
_REFUSED = (
    "failed to mmap model",
    "model provided has model identifier",
    "failed to initialize",
    "interpreter",
)


@dataclass(frozen=True)
class _Turn:
    """One call of the tool."""

    init_ms: float
    first_ms: float
    sample_ms: float
    runs: int
    warmup_runs: int
    peak_memory_bytes: int | None


def measure(
    device: Device, paths: Sequence[Path], protocol: Protocol, progress: Progress | None = None
) -> list[Measurement]:
    """As :func:`edgekit.measure.session.measure`; only TFLite files, and no sustained runs."""
    foreign = [path.name for path in paths if path.suffix.lower() != ".tflite"]
    if foreign or protocol.sustained_s:
        raise UnsupportedError(
            f"{device.name} measures with LiteRT's benchmark_model, which takes "
            f"{f'only .tflite files, not {foreign[0]}' if foreign else 'no sustained runs'}",
            hint="boards with Python are reached by ssh://",
        )
    phone = cast(AdbDevice, device)
    (tool,) = device.push([phone.tool])
    remote = [device.push(files_of(path))[0] for path in paths]
    turns: list[list[_Turn]] = [[] for _ in paths]
    for done in range(_TURNS):
        for found, path, name in zip(turns, paths, remote, strict=True):
            found.append(_turn(device, [tool, *_flags(name, protocol)], path))
        if progress:
            progress("measure", done + 1, _TURNS)
    machine = _machine(device)
    return [_measurement(path, found, machine) for path, found in zip(paths, turns, strict=True)]


def check(device: Device) -> dict[str, Any]:
    """As :func:`edgekit.measure.session.check`; the tool has to run there."""
    (tool,) = device.push([cast(AdbDevice, device).tool])
    list(device.run([tool, "--help"], _MOST_S))
    state = dict.fromkeys(("clock_mhz", "temperature_c", "load", "throttle_count", "throttled"))
    free = {"free_disk_bytes": None, "free_memory_bytes": None}
    return {"machine": _machine(device), "state": state, "packages": {"benchmark_model": "there"}, **free}


def _flags(remote: str, protocol: Protocol) -> list[str]:
    runs = max(1, (protocol.num_runs or _DEFAULT_RUNS) // _TURNS)
    is_exact = protocol.num_runs is not None
    flags = {
        "graph": remote,
        "num_threads": protocol.num_threads,
        "num_runs": runs,
        "min_secs": 0 if is_exact else protocol.seconds / _TURNS,
        "warmup_runs": 1 if protocol.warmup_runs is None else protocol.warmup_runs,
        "warmup_min_secs": 0 if protocol.warmup_runs is not None else 0.5,
        "report_peak_memory_footprint": "true",
    }
    return [f"--{name}={value}" for name, value in flags.items()]


def _turn(device: Device, command: Sequence[str], path: Path) -> _Turn:
    # The log is on stderr of old tools and on stdout of new ones.
    text = "\n".join(device.run(["sh", "-c", _SCRIPT, *command], _MOST_S))
    timings = _TIMINGS.search(text)
    if timings is None:
        raise _no_timings(cast(AdbDevice, device), text, path)
    counts = [int(count) for count in _COUNT.findall(text)] or [0]
    medians = [float(value) for value in _MEDIAN.findall(text)]
    peak = _PEAK_MB.search(text) or _OVERALL_MB.search(text)
    return _Turn(
        init_ms=float(timings["init"]) / 1e3,
        first_ms=float(timings["first"]) / 1e3,
        sample_ms=(medians[-1] if medians else float(timings["average"])) / 1e3,
        runs=counts[-1],
        warmup_runs=counts[0] if len(counts) > 1 else 0,
        peak_memory_bytes=round(float(peak[1]) * 2**20) if peak else None,
    )


def _no_timings(phone: AdbDevice, text: str, path: Path) -> EdgekitError:
    ended = _EXIT_CODE.search(text)
    said = Ended(int(ended[1]) if ended else 0, _EXIT_CODE.sub("", text))
    if any(words in text.lower() for words in _REFUSED):
        return ModelFileError(f"benchmark_model on {phone.name} cannot run {path.name}: {said.said}")
    return phone.failure(said, "run benchmark_model")


def _measurement(path: Path, turns: Sequence[_Turn], machine: Mapping[str, Any]) -> Measurement:
    runs = sum(turn.runs for turn in turns)
    return Measurement(
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        runtime="tflite",
        runtime_version="benchmark_model",
        load_ms=turns[0].init_ms,
        first_inference_ms=turns[0].first_ms,
        warmup_runs=sum(turn.warmup_runs for turn in turns),
        turns=tuple((turn.sample_ms,) for turn in turns),
        peak_memory_bytes=max(turn.peak_memory_bytes or 0 for turn in turns) or None,
        machine=dict(machine),
        warnings=(
            f"each sample is what benchmark_model said of one call, {runs} inferences in {len(turns)} calls",
        ),
    )


def _machine(device: Device) -> dict[str, Any]:
    """What Android's properties say, in the words of the runner."""
    names = ("ro.product.model", "ro.product.cpu.abi", "ro.build.version.release")
    script = "; ".join(f"getprop {name}" for name in names)
    model, abi, release = [*device.run(["sh", "-c", script], _MOST_S), "", "", ""][: len(names)]
    return {
        "host": model or None,
        "cpu": model or None,
        "machine": abi or None,
        "cores": None,
        "memory_bytes": None,
        "os": f"Android {release}" if release else None,
        "python": None,
        "governor": None,
    }
