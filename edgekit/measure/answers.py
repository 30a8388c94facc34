"""Whether files answer on a device as they do here."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.devices import Device, open_device
from edgekit.errors import InputError
from edgekit.measure.runner_harness import events
from edgekit.measure.session import Progress, files_of

__all__ = ["AnswerCheck", "compare_answers"]

_MOST_S_PER_ARTIFACT = 600.0
_FLOAT_TOLERANCE = 1e-4


@dataclass(frozen=True)
class AnswerCheck:
    """One file on a device and here, on one fixed input.

    ``dtype`` is that of the outputs. ``largest_difference`` is in steps where they are integers, else
    relative to the largest answer. ``versions`` are the runtime's there and here.
    """

    path: Path
    runtime: str
    versions: tuple[str, str]
    dtype: str
    largest_difference: float
    is_identical: bool

    @property
    def is_same(self) -> bool:
        """Identical, or floats within 1e-4 of the largest."""
        return self.is_identical or ("float" in self.dtype and self.largest_difference <= _FLOAT_TOLERANCE)

    def to_json(self) -> dict[str, Any]:
        return {
            "artifact": self.path.as_posix(),
            "runtime": self.runtime,
            "runtime_version": self.versions[0],
            "runtime_version_here": self.versions[1],
            "dtype": self.dtype,
            "identical": self.is_identical,
            "largest_difference": self.largest_difference,
        }


def compare_answers(
    device: Device, paths: Sequence[Path], progress: Progress | None = None
) -> list[AnswerCheck]:
    """Run every file once on ``device`` and once here, on the same input, all in one process each.

    Raises ModelFileError for a file that cannot be run there or here, DeviceError for what the device
    cannot do, InputError for a device that has no Python.
    """
    if device.harness != "runner":
        raise InputError(f"{device.name} has no Python that could say what a file answers")
    total = 2 * len(paths)
    found: list[list[Mapping[str, Any]]] = []
    for where in (open_device("local"), device):
        found.append([])
        for event in _answers(where, paths):
            found[-1].append(event)
            if progress:
                progress("answer", sum(map(len, found)), total)
    return [_compared(*item) for item in zip(paths, *found, strict=True)]


def _answers(device: Device, paths: Sequence[Path]) -> Iterator[Mapping[str, Any]]:
    remote = [device.push(files_of(path))[0] for path in paths]
    timeout_s = _MOST_S_PER_ARTIFACT * len(paths)
    for event in events(device, [*remote, "--answers"], timeout_s, paths):
        if event["event"] == "answer":
            yield event


def _compared(path: Path, here: Mapping[str, Any], there: Mapping[str, Any]) -> AnswerCheck:
    own, others = ([_array(output) for output in event["outputs"]] for event in (here, there))
    pairs = list(zip(own, others, strict=True))
    return AnswerCheck(
        path=path,
        runtime=there["runtime"],
        versions=(str(there["runtime_version"]), str(here["runtime_version"])),
        dtype=own[0].dtype.name,
        largest_difference=max(_difference(*pair) for pair in pairs),
        is_identical=all(one.tobytes() == other.tobytes() for one, other in pairs),
    )


def _array(output: Mapping[str, Any]) -> npt.NDArray[np.generic]:
    data = base64.b64decode(output["data"])
    array: npt.NDArray[np.generic] = np.frombuffer(data, output["dtype"]).reshape(output["shape"])
    return array


def _difference(here: npt.NDArray[np.generic], there: npt.NDArray[np.generic]) -> float:
    own, other = here.astype(np.float64), there.astype(np.float64)
    largest = float(np.abs(own - other).max(initial=0.0))
    if np.issubdtype(here.dtype, np.integer):
        return largest
    scale = float(np.abs(own).max(initial=0.0))
    return largest / scale if scale else largest
