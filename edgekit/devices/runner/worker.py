"""One artifact, in a process of its own that runs it as often as it is asked to."""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from edgekit.devices.runner.accelerators import accelerated
from edgekit.devices.runner.allocations import arena_bytes, tell_allocations, without_allocations
from edgekit.devices.runner.answers import deviation, outputs_of
from edgekit.devices.runner.failure import FailureError, write
from edgekit.devices.runner.machine import own_memory_bytes, peak_memory_bytes
from edgekit.devices.runner.runtimes import RUNTIMES, Invoke, Runtime

__all__ = ["Worker", "take", "work"]

_MEMORY_WORDS = (
    *("memoryerror", "bad_alloc", "out of memory"),
    *("cannot allocate", "failed to allocate", "memory allocation"),
)
_now = time.perf_counter


def work(options: argparse.Namespace, path: str, commands: Any, replies: Any) -> None:
    """Load the file, then run it as each line of ``commands`` says: most runs, seconds, least runs."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, options.cpus)
    gc.disable()
    try:
        runtime, version, load = _runtime(path, options.accelerator)(options.num_threads)
        expected = outputs_of(path, options.num_threads) if options.accelerator else None
        tell_allocations()
        before = own_memory_bytes()
        started = _now()
        invoke = load(path)
        loaded = _now()
        outputs = invoke()
        ended = _now()
        after = own_memory_bytes()
        write(
            replies,
            runtime=runtime,
            runtime_version=version,
            load_ms=(loaded - started) * 1e3,
            first_inference_ms=(ended - loaded) * 1e3,
            runtime_memory_bytes=None if before is None or after is None else after - before,
            deviation=None if expected is None else deviation(list(outputs), expected),
        )
        for line in commands:
            write(replies, **take(invoke, *json.loads(line)), peak_memory_bytes=peak_memory_bytes())
    except FailureError as exc:
        write(replies, event="error", kind=exc.kind, message=str(exc))
    except Exception as exc:  # whatever a runtime raises: who started the measurement has to hear of it
        text = " ".join(f"{type(exc).__name__}: {exc}".split())
        kind = "out_of_memory" if _is_of_memory(text) else "artifact"
        write(replies, event="error", kind=kind, message=text)


def _runtime(path: str, accelerator: str) -> Callable[[int], Runtime]:
    if accelerator:
        return accelerated(path, accelerator)
    found = RUNTIMES.get(Path(path).suffix.lower())
    if found is None or not Path(path).is_file():
        raise FailureError("artifact", f"{path} is not a file that ends in {', '.join(RUNTIMES)}")
    return found


def take(invoke: Invoke, most_runs: int, seconds: float, least_runs: int) -> dict[str, Any]:
    """Run for ``seconds``, but at least and at most so often; with what the processor and clocks did."""
    samples_ms: list[float] = []
    cpu, wall, date = time.process_time(), _now(), time.time()
    now = wall
    while len(samples_ms) < most_runs and (len(samples_ms) < least_runs or now - wall < seconds):
        before = _now()
        told = invoke()
        now = _now()
        if now <= before:
            raise FailureError("clock", f"the clock went from {before} s to {now} s while an inference ran")
        samples_ms.append(round(told if isinstance(told, float) else (now - before) * 1e3, 5))
    return {
        "samples_ms": samples_ms,
        "cpu_s": time.process_time() - cpu,
        "wall_s": now - wall,
        "clock_jump_s": round((time.time() - date) - (_now() - wall), 3),
    }


def _is_of_memory(text: str) -> bool:
    return any(words in text.lower() for words in _MEMORY_WORDS)


class Worker:
    """A process with one artifact in it, and what has been measured of it so far."""

    def __init__(self, options: argparse.Namespace, path: str) -> None:
        self.path = path
        self.count = 0
        self.seconds = 0.0
        self._commands: IO[str]
        self._replies: IO[str]
        self._wait: Callable[[], int]
        self._log = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 the process writes there
        start = self._fork if hasattr(os, "fork") and not options.no_fork else self._spawn
        start(options)
        try:
            self.loaded = {**self._hear(), "arena_bytes": arena_bytes(self._logged())}
        except FailureError:
            self.close()
            raise

    def ask(self, most_runs: int, seconds: float, least_runs: int) -> dict[str, Any]:
        """Run for ``seconds``, but at least and at most so often: the samples, and what went on meanwhile."""
        with contextlib.suppress(BrokenPipeError):  # it has ended, and _hear says why
            self._commands.write(json.dumps([most_runs, seconds, least_runs]) + "\n")
            self._commands.flush()
        return self._hear()

    def close(self) -> None:
        """Let the process end."""
        for stream in (self._commands, self._replies):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        self._log.close()

    def _fork(self, options: argparse.Namespace) -> None:
        """Without a new program, which an emulator of this processor could not start."""
        command_end, commands = os.pipe()
        replies, reply_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(commands)
                for number in (1, 2):
                    os.dup2(self._log.fileno(), number)
                with os.fdopen(command_end) as own, os.fdopen(reply_end, "w") as answers:
                    work(options, self.path, own, answers)
            finally:  # the copy must not go on with what is the original's
                os._exit(0)
        os.close(command_end)
        os.close(reply_end)
        self._commands, self._replies = os.fdopen(commands, "w"), os.fdopen(replies)
        self._wait = lambda: os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def _spawn(self, options: argparse.Namespace) -> None:
        arguments = ["--worker", "--num-threads", str(options.num_threads)]
        arguments += ["--accelerator", options.accelerator]
        cpus = ",".join(str(cpu) for cpu in options.cpus)
        process = subprocess.Popen(
            [sys.executable, sys.argv[0], self.path, *arguments, "--cpus", cpus],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        assert process.stdin
        assert process.stdout
        self._commands, self._replies, self._wait = process.stdin, process.stdout, process.wait

    def _hear(self) -> dict[str, Any]:
        line = self._replies.readline()
        if not line:
            raise self._died(self._wait())
        answer: dict[str, Any] = json.loads(line)
        if answer.get("event") == "error":
            raise FailureError(answer["kind"], answer["message"])
        return answer

    def _logged(self) -> str:
        """What the process has written so far. Read to its end, where the process, which waits, goes on."""
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def _died(self, code: int) -> FailureError:
        said = " ".join(without_allocations(self._logged()).split()[-40:]) or "it said nothing"
        if code == -getattr(signal, "SIGKILL", 9):
            return FailureError(
                "out_of_memory", "the process was killed, which a system does when memory runs out"
            )
        if code == -getattr(signal, "SIGILL", 4):
            return FailureError(
                "architecture", f"the runtime uses instructions that this processor lacks: {said}"
            )
        if _is_of_memory(said):
            return FailureError("out_of_memory", f"the runtime ended the process: {said}")
        return FailureError("crash", f"the runtime ended the process with code {code}: {said}")
