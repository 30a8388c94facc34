"""Measuring with edgekit's own runner, in the Python of the device."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekit.devices import Device
from edgekit.devices.archive import write_runner
from edgekit.errors import DeviceError, DeviceLostError, EdgekitError, InputError, ModelFileError
from edgekit.measure.session import Measurement, Progress, Protocol, files_of

__all__ = ["check", "events", "measure"]

_MOST_S_PER_ARTIFACT = 900.0
_CHECK_S = 120.0
_MOST_DEVIATION = 0.2
"""Of an accelerator's answers from the processor's: fp16 costs a deep network some percent, a kernel that is
wrong costs most of the answer."""

_HINTS = {
    "missing_runtime": "install it there for that Python, or name another Python: ssh://host?python=PATH",
    "out_of_memory": "a smaller network, fewer files at once, or a device with more memory",
    "accelerator": "`edgekit doctor` says which accelerators this machine has, and what was looked for",
    "architecture": "install a build of the runtime for that processor",
}


def measure(
    device: Device, paths: Sequence[Path], protocol: Protocol, progress: Progress | None = None
) -> list[Measurement]:
    """As :func:`edgekit.measure.session.measure`."""
    remote = [device.push(files_of(path))[0] for path in paths]
    expected_s = (protocol.sustained_s or protocol.seconds) * len(paths)
    timeout_s = expected_s + _MOST_S_PER_ARTIFACT * len(paths)
    found = [_Collected(device, path, protocol) for path in paths]
    machine: dict[str, Any] = {}
    sampled_s = 0.0
    for event in events(device, [*remote, *_arguments(protocol)], timeout_s, paths):
        if "artifact" in event:
            found[event["artifact"]].add(event)
            sampled_s += event.get("wall_s", 0.0)
        else:
            machine[event["event"]] = event
        if progress:
            progress("measure", min(99, round(100 * sampled_s / expected_s)), 100)
    if progress:
        progress("measure", 100, 100)
    return [one.measurement(machine) for one in found]


def check(device: Device) -> dict[str, Any]:
    """As :func:`edgekit.measure.session.check`."""
    (event,) = events(device, ["--check"], _CHECK_S, [])
    del event["event"]
    return event


def _arguments(protocol: Protocol) -> list[str]:
    named = {
        "--num-threads": protocol.num_threads,
        "--num-runs": protocol.num_runs,
        "--warmup-runs": protocol.warmup_runs,
        "--seconds": protocol.seconds,
        "--sustained": protocol.sustained_s,
        "--cpus": protocol.cpus,
        "--accelerator": protocol.accelerator,
    }
    return [word for name, value in named.items() if value is not None for word in (name, str(value))]


def events(
    device: Device, arguments: Sequence[str], timeout_s: float, paths: Sequence[Path]
) -> Iterator[dict[str, Any]]:
    """What the runner reports, to its end; its error raised as ours."""
    with tempfile.TemporaryDirectory() as folder:
        (runner,) = device.push([write_runner(Path(folder))])
        latest: dict[str, Any] = {}
        for line in device.run([*device.python, runner, *arguments], timeout_s):
            latest = _event(device, line)
            if latest["event"] == "error":
                raise _error(device, latest, paths)
            yield latest
        if latest.get("event") not in ("end", "check"):
            raise DeviceLostError(f"{device.name} stopped before the measurement was complete")


def _event(device: Device, line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
        return {**event, "event": event["event"]}
    except (ValueError, TypeError, KeyError) as exc:
        raise DeviceError(
            f"{device.name} answered {line[:80]!r}, expected an event of the runner",
            hint="a login script that prints something mixes into the answers",
        ) from exc


def _error(device: Device, event: Mapping[str, Any], paths: Sequence[Path]) -> EdgekitError:
    kind, message = event["kind"], event["message"]
    if kind == "artifact":
        names = ", ".join(path.name for path in paths)
        return ModelFileError(f"{device.name} cannot run {names}: {message}")
    if kind == "usage":
        return InputError(f"{device.name}: {message}")
    return DeviceError(f"{device.name}: {message}", hint=_HINTS.get(kind, ""))


class _Collected:
    """The events of one file while they come."""

    def __init__(self, device: Device, path: Path, protocol: Protocol) -> None:
        self._device = device
        self._path = path
        self._protocol = protocol
        self._loaded: dict[str, Any] = {}
        self._warm: dict[str, Any] = {}
        self._turns: list[dict[str, Any]] = []

    def add(self, event: dict[str, Any]) -> None:
        if event["event"] == "loaded":
            self._loaded = event
            self._check_answers()
        elif event["event"] == "warm":
            self._warm = event
        elif event["event"] == "turn":
            self._turns.append(event)

    def _check_answers(self) -> None:
        """Before anything is timed: what answers wrongly is quick for nothing."""
        if self._is_wrong and not self._protocol.force:
            raise DeviceError(
                f"{self._device.name}: {self._wrong_answers}",
                hint="--force measures it all the same",
            )

    @property
    def _is_wrong(self) -> bool:
        return (self._loaded.get("deviation") or 0.0) > _MOST_DEVIATION

    @property
    def _wrong_answers(self) -> str:
        return (
            f"{self._path.name} answers otherwise by {self._protocol.accelerator} than on the processor: "
            f"they differ by {self._loaded['deviation']:.1%}, expected at most {_MOST_DEVIATION:.0%}"
        )

    def measurement(self, machine: Mapping[str, Any]) -> Measurement:
        wall_s = sum(turn["wall_s"] for turn in self._turns)
        start, end = machine["start"], machine["end"]
        return Measurement(
            sha256=self._loaded["sha256"],
            runtime=self._loaded["runtime"],
            runtime_version=self._loaded["runtime_version"] or "unknown",
            load_ms=self._loaded["load_ms"],
            first_inference_ms=self._loaded["first_inference_ms"],
            warmup_runs=self._warm["runs"],
            is_steady=self._warm["is_steady"],
            turns=tuple(tuple(turn["samples_ms"]) for turn in self._turns),
            at_s=tuple(turn["at_s"] for turn in self._turns if "at_s" in turn),
            cpu_share=sum(turn["cpu_s"] for turn in self._turns) / wall_s,
            others=sum(turn["others_s"] for turn in self._turns) / wall_s,
            clocks_mhz=tuple(turn["clock_mhz"] for turn in self._turns if turn["clock_mhz"]),
            clock_jump_s=max((turn["clock_jump_s"] for turn in self._turns), key=abs),
            peak_memory_bytes=max(turn["peak_memory_bytes"] or 0 for turn in self._turns) or None,
            machine=start["machine"],
            before=start["state"],
            after=end["state"],
            cpus=tuple(start["cpus"]),
            arena_bytes=self._loaded.get("arena_bytes"),
            runtime_memory_bytes=self._loaded.get("runtime_memory_bytes"),
            deviation=self._loaded.get("deviation"),
            warnings=(self._wrong_answers,) if self._is_wrong else (),
        )
