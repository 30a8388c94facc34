"""The command line on the device."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from edgekit.devices.runner import answers, machine, protocol
from edgekit.devices.runner.failure import FailureError, write
from edgekit.devices.runner.runtimes import PACKAGES, version_of
from edgekit.devices.runner.worker import work

__all__ = ["main", "parser"]


def main(arguments: list[str] | None = None) -> int:
    """Measure, with the events on stdout and the rest on stderr; 1 when an ``error`` was the last event."""
    options = parser().parse_args(arguments)
    with os.fdopen(os.dup(1), "w") as output:
        os.dup2(2, 1)
        if options.worker:
            options.cpus = [int(cpu) for cpu in options.cpus.split(",")]
            work(options, options.artifacts[0], sys.stdin, output)
            return 0
        try:
            _job(options)(options, partial(write, output))
        except FailureError as exc:
            write(output, event="error", kind=exc.kind, message=str(exc))
            return 1
        return 0


def _job(options: argparse.Namespace) -> Callable[[argparse.Namespace, Callable[..., None]], None]:
    if options.check:
        return _check
    return answers.answer if options.answers else protocol.measure


def _check(options: argparse.Namespace, emit: Callable[..., None]) -> None:
    emit(
        event="check",
        machine=machine.describe(),
        state=machine.state(machine.usable_cpus()),
        packages={name: version_of(name) for name in PACKAGES},
        free_disk_bytes=shutil.disk_usage(Path(sys.argv[0]).resolve().parent).free,
        free_memory_bytes=machine.free_memory_bytes(),
    )


def parser() -> argparse.ArgumentParser:
    """The arguments of the runner."""
    new = argparse.ArgumentParser(description="Time one inference of each file, taking turns.")
    new.add_argument("artifacts", nargs="*", help=".tflite, .onnx or .xml files")
    new.add_argument("--num-threads", type=int, default=1)
    new.add_argument("--num-runs", type=int, help="exactly so many; by default as many as fit --seconds")
    new.add_argument("--seconds", type=float, default=5.0, help="of sampling for each artifact")
    new.add_argument("--warmup-runs", type=int, help="exactly so many; by default until steady")
    new.add_argument("--sustained", type=float, help="seconds to run without a pause")
    new.add_argument("--cpus", default="auto", help="auto: the idlest fast ones; all; or numbers: 2,3")
    new.add_argument("--check", action="store_true", help="only say what this machine is and has")
    new.add_argument("--accelerator", default="", help="what runs the files instead of the CPU")
    new.add_argument("--answers", action="store_true", help="run each once, and give its outputs")
    new.add_argument("--no-fork", action="store_true", help=argparse.SUPPRESS)
    new.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return new
