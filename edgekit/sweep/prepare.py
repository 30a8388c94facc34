"""The files that a sweep measures: exported once, kept beside the results, and used again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import msgspec

from edgekit import manifest
from edgekit.errors import EdgekitError, ModelFileError
from edgekit.files import sha256_of
from edgekit.measure.record import job_id
from edgekit.options import ExportOptions
from edgekit.pipeline import export
from edgekit.sweep.plan import Job
from edgekit.target import resolve

__all__ = ["Prepared", "prepare"]

Prepared: TypeAlias = "dict[str, Path | EdgekitError]"
"""Id of a job → the file that it measures, or why there is none."""

Progress: TypeAlias = Callable[[str, int, int], None]


def prepare(jobs: Sequence[Job], folder: Path, progress: Progress | None = None) -> Prepared:
    """Export what ``jobs`` need into folders of ``folder``, each model and option a folder of its own.

    What is there already is used again. An export that fails is told for its jobs, and stops no other.
    """
    made: dict[str, Path | EdgekitError] = {}
    found: Prepared = {}
    for done, job in enumerate(jobs):
        if progress:
            progress("prepare", done, len(jobs))
        if job.artifact is not None:
            found[job.id] = job.artifact
            continue
        key = _key(job)
        if key not in made:
            made[key] = _made(job, folder)
        found[job.id] = made[key]
    if progress:
        progress("prepare", len(jobs), len(jobs))
    return found


def _made(job: Job, folder: Path) -> Path | EdgekitError:
    assert job.model is not None
    assert job.export is not None
    options = replace(job.export, out_dir=folder / f"{Path(job.model).stem}-{_folder_key(job)}")
    with suppress(ModelFileError):
        return _kept(options)
    try:
        return export(job.model, options).artifacts[0].path
    except EdgekitError as error:
        return error


def _kept(options: ExportOptions) -> Path:
    """The file of an earlier sweep. Raises ModelFileError when it is missing or not what it was."""
    target = resolve(options.target)[0]
    for entry in manifest.read(options.out_dir / manifest.FILE_NAME).artifacts:
        path = options.out_dir / entry.path
        is_asked = (entry.format, entry.precision) == (target.format, options.precision) and path.is_file()
        if is_asked and sha256_of(path) == entry.sha256:
            return path
    raise ModelFileError(f"{options.out_dir} has no {options.precision} file for {options.target}")


def _key(job: Job) -> str:
    assert job.export is not None
    return f"{_folder_key(job)} {job.export.target} {job.export.precision}"


def _folder_key(job: Job) -> str:
    """Changes with the model, its scale and how it is exported, not with the format and precision."""
    assert job.export is not None
    same = replace(job.export, target="", precision=None, out_dir=Path())
    return job_id({"model": job.model, "export": msgspec.to_builtins(same, enc_hook=str)})[:8]
