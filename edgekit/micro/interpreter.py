"""Running a file in TensorFlow Lite Micro's reference kernels on this machine, and its arena as measured."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt

from edgekit.errors import InputError, MissingExtraError, UnsupportedError
from edgekit.micro import child
from edgekit.micro.arena import plan_arena
from edgekit.runtimes.tflite_file import TfliteFile, read

__all__ = ["EXTRA", "PACKAGE", "MeasuredArena", "MicroRun", "run"]

PACKAGE, EXTRA = "tflite-micro", "microcontrollers"

Array = npt.NDArray[np.generic]

_ALLOCATION = re.compile(r"^\[RecordingMicroAllocator\] '(?P<what>[^']+)' used (?P<used>\d+) bytes")
_TOTALS = re.compile(
    r"^\[RecordingMicroAllocator\] Arena allocation (?P<part>total|head|tail) (?P<size>\d+) bytes"
)
# Room for what the interpreter only needs while it plans, and for kernels that the plan does not know.
_SPARE_BYTES = 1 << 20
_TIMEOUT_S = 600


@dataclass(frozen=True)
class MeasuredArena:
    """What the interpreter used: tensors between operators at the head, everything else at the tail.

    ``allocations`` divide the tail by what it is for, in bytes.
    """

    total_bytes: int
    activation_bytes: int
    persistent_bytes: int
    allocations: Mapping[str, int]


@dataclass(frozen=True)
class MicroRun:
    """Answers of one inference, in the order of the file's outputs, and the arena that it took."""

    answers: tuple[Array, ...]
    arena: MeasuredArena
    version: str


def run(path: Path | str, feeds: Sequence[npt.ArrayLike]) -> MicroRun:
    """One inference; ``feeds`` are one array for each input, in the file's order, of its shape and dtype.

    Raises MissingExtraError without the package, ModelFileError for what is no TFLite file, InputError
    for feeds that do not fit, UnsupportedError for what TensorFlow Lite Micro does not run.
    """
    file = read(path)
    arrays = _checked(file, feeds)
    try:
        installed = version(PACKAGE)
    except PackageNotFoundError as exc:
        raise MissingExtraError(PACKAGE, EXTRA, "running TensorFlow Lite Micro") from exc
    with TemporaryDirectory(prefix="edgekit-") as folder:
        given, answers = Path(folder, "feeds.npz"), Path(folder, "answers.npz")
        np.savez(given, **{str(i): array for i, array in enumerate(arrays)})  # type: ignore[arg-type] # names, not flags
        report = _run_child(file, given, answers)
        with np.load(answers) as found:
            results = tuple(found[str(i)] for i in range(len(file.outputs)))
    return MicroRun(results, _arena(report), installed)


def _checked(file: TfliteFile, feeds: Sequence[npt.ArrayLike]) -> list[Array]:
    ports = [file.tensors[index] for index in file.inputs]
    if len(feeds) != len(ports):
        raise InputError(f"{len(feeds)} inputs were given, {file.path.name} has {len(ports)}")
    arrays = [np.ascontiguousarray(feed) for feed in feeds]
    for array, port in zip(arrays, ports, strict=True):
        if array.shape != port.shape or array.dtype.name != port.dtype:
            raise InputError(
                f"input {port.name!r} of {file.path.name} was given {array.dtype} {list(array.shape)}, "
                f"expected {port.dtype} {list(port.shape)}"
            )
    return arrays


def _run_child(file: TfliteFile, feeds: Path, answers: Path) -> str:
    """What the interpreter wrote to stderr. Raises UnsupportedError with its last words when it failed."""
    arena_bytes = plan_arena(file).total_bytes + _SPARE_BYTES
    arguments = (file.path, arena_bytes, len(file.outputs), feeds, answers)
    done = subprocess.run(
        [sys.executable, "-m", child.__name__, *map(str, arguments)],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode == child.NOT_INSTALLED:
        raise MissingExtraError(PACKAGE, EXTRA, "running TensorFlow Lite Micro")
    if done.returncode:
        raise UnsupportedError(
            f"TensorFlow Lite Micro cannot run {file.path.name}: {_reason(done.stderr, done.returncode)}",
            hint="`edgekit targets show cortex-m7-2mb` lists the operators that it has",
        )
    return done.stderr


def _reason(stderr: str, code: int) -> str:
    """The interpreter's own lines, without Python's traceback around them."""
    own = [line for line in stderr.splitlines() if not re.match(r"Traceback|\s|\[Recording", line)]
    return "; ".join(own[-3:]) if own else f"it ended with code {code}"


def _arena(report: str) -> MeasuredArena:
    lines = report.splitlines()
    totals = {found["part"]: int(found["size"]) for line in lines if (found := _TOTALS.match(line))}
    return MeasuredArena(
        total_bytes=totals["total"],
        activation_bytes=totals["head"],
        persistent_bytes=totals["tail"],
        allocations={
            found["what"]: int(found["used"]) for line in lines if (found := _ALLOCATION.match(line))
        },
    )
