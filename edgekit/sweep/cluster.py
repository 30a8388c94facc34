"""A sweep on a Dask cluster, whose workers have the boards.

A worker says which devices it reaches as resources of their names, one job at a time each::

    dask worker tcp://lab:8786 --resources "ssh://pi@rpi4=1"

Files travel with their jobs, so that workers need no folder in common, and records come back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec.structs

from edgekit import manifest
from edgekit.devices import open_device
from edgekit.errors import DeviceError, EdgekitError, InputError, MissingExtraError
from edgekit.measure import record
from edgekit.measure.record import LatencyRecord
from edgekit.measure.session import files_of
from edgekit.sweep.plan import Job
from edgekit.sweep.run import Outcome, Work, measure_job

__all__ = ["run_on_cluster"]

_CONNECT = "10s"


class _Answer(NamedTuple):
    """A record's line, or an error's text and hint."""

    line: bytes | None
    error: str
    hint: str


def run_on_cluster(work: Work, address: str) -> Iterator[Outcome]:
    """Outcomes as workers of the scheduler at ``address`` finish their jobs.

    A job whose device no worker has fails at once. Raises MissingExtraError without dask.distributed,
    InputError when the scheduler cannot be reached.
    """
    distributed = _import_distributed()
    with _connected(distributed, address) as client:
        offered = _offered(client)
        futures: dict[Any, tuple[Job, Path]] = {}
        for job, path in work:
            if job.options.device not in offered:
                yield job, _nobody_has(job, address, offered)
                continue
            future = client.submit(
                _measure,
                job,
                path.name,
                _contents(path),
                key=f"edgekit-{job.id}",
                resources={job.options.device: 1},
                pure=False,
            )
            futures[future] = (job, path)
        for future in distributed.as_completed(list(futures), loop=client.loop):
            yield _outcome(*futures[future], future)


def _import_distributed() -> Any:
    try:
        import distributed
    except ImportError as exc:
        raise MissingExtraError("distributed", "dask", "a sweep on a Dask cluster") from exc
    return distributed


def _connected(distributed: Any, address: str) -> Any:
    try:
        return distributed.Client(address, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError) as exc:
        raise InputError(f"no Dask scheduler answers at {address}: {exc}", hint="tcp://host:8786") from exc


def _offered(client: Any) -> set[str]:
    """Names of the devices that workers have."""
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return {name for worker in workers for name in worker.get("resources", {})}


def _nobody_has(job: Job, address: str, offered: set[str]) -> DeviceError:
    device = job.options.device
    return DeviceError(
        f"no worker of {address} has {device}, they have {', '.join(sorted(offered)) or 'no devices'}",
        hint=f'dask worker {address} --resources "{device}=1"',
    )


def _contents(path: Path) -> dict[str, bytes]:
    """The file, what belongs to it, and the manifest beside it."""
    beside = path.parent / manifest.FILE_NAME
    files = [*files_of(path), *([beside] if beside.is_file() else [])]
    return {file.name: file.read_bytes() for file in files}


def _measure(job: Job, name: str, contents: Mapping[str, bytes]) -> _Answer:
    """What a worker does; an error is an answer too, because not every one can be sent as an exception."""
    with tempfile.TemporaryDirectory() as folder:
        for file, content in contents.items():
            (Path(folder) / file).write_bytes(content)
        try:
            found = measure_job(job, Path(folder) / name, open_device(job.options.device))
        except EdgekitError as error:
            return _Answer(None, str(error), error.hint)
        return _Answer(record.encode(found), "", "")


def _outcome(job: Job, path: Path, future: Any) -> Outcome:
    failed = future.exception()
    if failed is not None:
        return job, DeviceError(f"a worker failed with {type(failed).__name__}: {failed}")
    answer: _Answer = future.result()
    if answer.line is None:
        return job, DeviceError(answer.error, hint=answer.hint)
    found = record.decode(answer.line)
    assert isinstance(found, LatencyRecord)
    artifact = path.as_posix()
    command = tuple(artifact if word == found.artifact else word for word in found.command)
    return job, msgspec.structs.replace(found, artifact=artifact, command=command)
