"""No hardware: a device that answers as the runner does, with samples that are made up.

For tests, and for trying a sweep before the boards are there. The name says how it behaves:
``fake:NAME?ms=5&noise=0.01&cut=3`` takes 5 ms for an inference, with noise of 1 %, and loses the connection
in the middle of every third measurement; ``deviation=0.4`` answers so far from what a processor would.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import numpy as np

from edgekit.devices.base import Device, content_key
from edgekit.devices.runner.main import parser
from edgekit.errors import DeviceError, DeviceLostError, InputError
from edgekit.files import sha256_of

__all__ = ["FakeDevice", "open_"]

_TURNS = 20
_RUNS = 10
_STATE = {"clock_mhz": None, "temperature_c": None, "load": 0.0, "throttle_count": None, "throttled": None}
_RUNTIMES = {".tflite": "tflite", ".onnx": "onnx", ".xml": "openvino"}


class FakeDevice(Device):
    """Takes ``ms`` milliseconds for an inference, whatever it is given, and says so."""

    def __init__(
        self, name: str, ms: float = 5.0, noise: float = 0.01, cut: int = 0, deviation: float | None = None
    ) -> None:
        super().__init__(name, name)
        self._deviation = deviation
        self._ms = ms
        self._noise = noise
        self._cut = cut
        self._count = 0
        self.pushed: set[str] = set()

    @property
    def python(self) -> tuple[str, ...]:
        return ("python3",)

    def push(self, files: Sequence[Path]) -> list[str]:
        self.pushed.add(content_key(files))
        return [str(path.absolute()) for path in files]

    def run(self, command: Sequence[str], timeout_s: float) -> Iterator[str]:
        options = parser().parse_args(command[len(self.python) + 1 :])
        self._count += 1
        events = list(_check() if options.check else self._measure(options.artifacts, options.num_runs))
        is_cut = self._cut and self._count % self._cut == 0
        for event in events[: len(events) // 2] if is_cut else events:
            yield json.dumps(event)
        if is_cut:
            raise DeviceLostError(f"the connection to {self.name} was cut: as it was told")

    def pull(self, path: str) -> bytes:
        try:
            return Path(path).read_bytes()
        except OSError as exc:
            raise DeviceError(f"cannot read {path}: {exc.strerror or exc}") from exc

    def _measure(self, artifacts: Sequence[str], num_runs: int | None) -> Iterator[dict[str, Any]]:
        generator = np.random.default_rng(self._count)
        yield {"event": "start", "machine": _MACHINE, "state": _STATE, "cpus": [0]}
        for index, path in enumerate(artifacts):
            yield {
                "event": "loaded",
                "artifact": index,
                "sha256": sha256_of(Path(path)),
                "runtime": _RUNTIMES[Path(path).suffix],
                "runtime_version": "0",
                "load_ms": 10 * self._ms,
                "first_inference_ms": 2 * self._ms,
                "runtime_memory_bytes": None,
                "deviation": self._deviation,
            }
            yield {"event": "warm", "artifact": index, "runs": _RUNS, "is_steady": True}
        for runs in _split(num_runs or _TURNS * _RUNS):
            for index in range(len(artifacts)):
                samples = self._ms * (1 + self._noise * np.abs(generator.standard_normal(runs)))
                yield {"event": "turn", "artifact": index, "samples_ms": samples.tolist(), **_still(samples)}
        yield {"event": "end", "state": _STATE}


def open_(name: str) -> FakeDevice:
    """The device of ``fake:NAME[?ms=MS&noise=SHARE&cut=N&deviation=SHARE]``.

    Raises InputError for a name of another form.
    """
    extra = {key: values[0] for key, values in parse_qs(name.partition("?")[2]).items()}
    try:
        numbers = {key: float(value) for key, value in extra.items()}
        cut = int(numbers.pop("cut", 0))
        return FakeDevice(name, cut=cut, **numbers)
    except (TypeError, ValueError) as exc:
        raise InputError(f"device {name!r} was given, expected fake:NAME[?ms=5&noise=0.01&cut=3]") from exc


_MACHINE = {
    "host": "fake",
    "cpu": None,
    "machine": None,
    "cores": 1,
    "memory_bytes": None,
    "os": None,
    "python": None,
    "governor": None,
}


def _check() -> Iterator[dict[str, Any]]:
    packages = dict.fromkeys(("ai-edge-litert", "onnxruntime", "openvino", "numpy"), "0")
    free = {"free_disk_bytes": 0, "free_memory_bytes": 0}
    yield {"event": "check", "machine": _MACHINE, "state": _STATE, "packages": packages, **free}


def _still(samples: Any) -> dict[str, Any]:
    """What a turn tells besides its samples, on a machine where nothing else happens."""
    seconds = float(samples.sum()) / 1e3
    return {
        "cpu_s": seconds,
        "wall_s": seconds,
        "others_s": 0.0,
        "clock_jump_s": 0.0,
        "clock_mhz": None,
        "peak_memory_bytes": 1_000_000,
    }


def _split(runs: int) -> list[int]:
    return [len(part) for part in np.array_split(np.arange(runs), min(runs, _TURNS))]
