"""Running a sweep: what is not in the results yet, several devices at once, one job a device at a time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import msgspec.structs

from edgekit.benchmarking import benchmark
from edgekit.devices import Device, open_device
from edgekit.errors import DeviceError, DeviceLostError, EdgekitError
from edgekit.measure import record
from edgekit.measure.record import LatencyRecord
from edgekit.measure.results_file import appending
from edgekit.sweep import plan
from edgekit.sweep.plan import Job
from edgekit.sweep.prepare import prepare

__all__ = ["Failure", "Outcome", "SweepResult", "Work", "measure_job", "sweep"]

Progress: TypeAlias = Callable[[str, int, int], None]
Work: TypeAlias = "list[tuple[Job, Path]]"
"""Jobs, each with the file that it measures."""

_RETRY_AFTER_S: tuple[float, ...] = (0.5, 2.0, 8.0)


@dataclass(frozen=True)
class Failure:
    """A job that has no record, and why."""

    job: Job
    error: EdgekitError


Outcome: TypeAlias = "tuple[Job, LatencyRecord | EdgekitError]"


@dataclass(frozen=True)
class SweepResult:
    """What one run of a sweep added to the results, how many were there already, and what failed."""

    records: tuple[LatencyRecord, ...]
    known: int
    failures: tuple[Failure, ...]


def sweep(
    path: Path, results: Path, cluster: str | None = None, progress: Progress | None = None
) -> SweepResult:
    """Measure every job of the sweep at ``path`` that has no record in ``results``, and add it there.

    A record is on the disk before its device's next job begins, and the results belong to this process
    until it ends: after a crash or Ctrl-C the same call goes on where it stopped. ``cluster`` is the address
    of a Dask scheduler whose workers have the devices. Raises InputError for a sweep that cannot be read,
    OutputError for results that cannot be written or that another process writes.
    """
    jobs = plan.jobs_of(plan.read(path), path.resolve().parent)
    with appending(results) as appender:
        known = {one.id for one in record.read(results)}
        missing = [job for job in jobs if job.id not in known]
        prepared = prepare(missing, results.with_name(f"{results.stem}-artifacts"), progress)
        work = [(job, made) for job in missing if isinstance(made := prepared[job.id], Path)]
        outcomes: list[Outcome] = [
            (job, made) for job in missing if isinstance(made := prepared[job.id], EdgekitError)
        ]
        for done, outcome in enumerate(_run(work, cluster), start=1):
            if isinstance(outcome[1], LatencyRecord):
                appender.add(outcome[1])
            outcomes.append(outcome)
            if progress:
                progress("measure", done, len(work))
    return SweepResult(
        records=tuple(found for _, found in outcomes if isinstance(found, LatencyRecord)),
        known=len(jobs) - len(missing),
        failures=tuple(Failure(job, found) for job, found in outcomes if isinstance(found, EdgekitError)),
    )


def measure_job(job: Job, path: Path, device: Device) -> LatencyRecord:
    """The record that answers ``job``; tried again, a few times, when the connection is cut.

    Raises what :func:`edgekit.benchmark` raises.
    """
    for wait_s in _RETRY_AFTER_S:
        try:
            return _measured(job, path, device)
        except DeviceLostError:
            time.sleep(wait_s)
    return _measured(job, path, device)


def _measured(job: Job, path: Path, device: Device) -> LatencyRecord:
    (found,) = benchmark([path], job.options, device=device).records
    return msgspec.structs.replace(found, id=job.id)


def _run(work: Work, cluster: str | None) -> Iterator[Outcome]:
    if cluster is None:
        return _run_here(work)
    from edgekit.sweep.cluster import run_on_cluster  # needs an extra

    return run_on_cluster(work, cluster)


def _run_here(work: Work) -> Iterator[Outcome]:
    """Outcomes as they come, from one thread for each place."""
    done: queue.Queue[Outcome] = queue.Queue()
    for part in _by_place(work):
        # A daemon, so that Ctrl-C does not wait for a measurement that nobody will record.
        threading.Thread(target=_run_part, args=(part, done), daemon=True).start()
    for _ in work:
        yield done.get()


def _by_place(work: Work) -> list[list[tuple[Job, Path, Device]]]:
    """Jobs of devices that share a processor together; each device is opened once."""
    devices: dict[str, Device] = {}
    parts: dict[str, list[tuple[Job, Path, Device]]] = {}
    for job, path in work:
        name = job.options.device
        device = devices.setdefault(name, devices[name] if name in devices else open_device(name))
        parts.setdefault(device.place, []).append((job, path, device))
    return list(parts.values())


def _run_part(part: Sequence[tuple[Job, Path, Device]], done: queue.Queue[Outcome]) -> None:
    """Measure one job after the other; those of a device that cannot be used are given up together."""
    gone: dict[str, DeviceError] = {}
    for job, path, device in part:
        if device.name in gone:
            done.put((job, gone[device.name]))
            continue
        try:
            done.put((job, measure_job(job, path, device)))
        except DeviceError as error:
            gone[device.name] = error
            done.put((job, error))
        except EdgekitError as error:
            done.put((job, error))
        except Exception as error:  # the thread's last boundary: the others' results must not wait for ever
            done.put((job, EdgekitError(f"unexpected {type(error).__name__}: {error}")))
