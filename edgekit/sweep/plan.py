"""``sweep.toml``, and the jobs that it asks for.

::

    schema = 1
    models = ["mobilenet_v2", { model = "efficientnet_lite0", resolution = 192 }]
    artifacts = ["others/*.tflite"]
    precisions = ["fp32", "int8"]
    runtimes = ["tflite", "onnx"]
    devices = ["local", "ssh://pi@rpi4"]
    threads = [1, 4]

    [export]
    weights = "random"

    [benchmark]
    num_runs = 100

Models are exported once for each precision and runtime; artifacts are files as they are. Paths are
relative to the TOML file's folder. Either list may be missing, and so may all that has a default.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from edgekit.devices import open_device
from edgekit.errors import InputError
from edgekit.files import sha256_of
from edgekit.measure.record import job_id
from edgekit.measure.session import BenchmarkOptions, files_of
from edgekit.options import ExportOptions, Format, Precision, ScaleChange
from edgekit.report.wording import counted
from edgekit.resources import read_toml
from edgekit.target import resolve

__all__ = ["ExportTable", "Job", "ModelTable", "Sweep", "jobs_of", "read"]


class ModelTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model at a scale of its own, as the flags of ``edgekit export`` say it."""

    model: str
    width: float | None = None
    depth: float | None = None
    resolution: int | None = None
    num_classes: int | None = None
    in_channels: int | None = None

    @property
    def scale(self) -> ScaleChange:
        return ScaleChange(self.width, self.depth, self.resolution, self.num_classes, self.in_channels)


class ExportTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How models are exported; fields of :class:`~edgekit.options.ExportOptions`."""

    weights: str = "auto"
    seed: int = 0
    calibration: str | None = None
    samples: int = 100


class _BenchmarkTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    num_runs: int | None = None
    warmup_runs: int | None = None
    seconds: float = BenchmarkOptions.seconds
    sustained_s: float | None = None
    cpus: str = BenchmarkOptions.cpus
    force: bool = False


class Sweep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file's content."""

    schema: Literal[1] = 1
    models: tuple[str | ModelTable, ...] = ()
    artifacts: tuple[str, ...] = ()
    precisions: tuple[Precision, ...] = ("int8",)
    runtimes: tuple[Format, ...] = ("tflite",)
    devices: tuple[str, ...] = ("local",)
    threads: tuple[int, ...] = (1,)
    target: str | None = None
    export: ExportTable = ExportTable()
    benchmark: _BenchmarkTable = _BenchmarkTable()


@dataclass(frozen=True)
class Job:
    """One file, measured in one way on one device.

    The file is ``artifact``, or has to be exported of ``model`` as ``export`` says. ``id`` is common to all
    jobs that ask for the same, so that a record with it answers this one.
    """

    id: str
    artifact: Path | None
    model: str | None
    export: ExportOptions | None
    options: BenchmarkOptions

    @property
    def title(self) -> str:
        what = self.artifact.name if self.artifact else f"{self.model} {self._as}"
        threads = counted(self.options.num_threads or 1, "thread")
        return f"{what} on {self.options.device} with {threads}"

    @property
    def _as(self) -> str:
        return f"{self.export.precision} for {self.export.target}" if self.export else ""


def read(path: Path) -> Sweep:
    """Read a sweep's file. Raises InputError, naming the key, for one that cannot be used."""
    sweep = read_toml(path, Sweep)
    if not sweep.models and not sweep.artifacts:
        raise InputError(f"{path} names no models and no artifacts", hint='models = ["mobilenet_v2"]')
    return sweep


def jobs_of(sweep: Sweep, folder: Path) -> list[Job]:
    """Every job of ``sweep``, once, by device; paths are relative to ``folder``.

    Raises InputError for a device, a target, a pattern or a number that cannot be used.
    """
    if sweep.target:
        resolve(sweep.target)
    for device in sweep.devices:
        open_device(device)
    found = [
        job
        for device in sweep.devices
        for threads in sweep.threads
        for job in _jobs_on(sweep, folder, _options(sweep, device, threads))
    ]
    return list({job.id: job for job in found}.values())


def _options(sweep: Sweep, device: str, threads: int) -> BenchmarkOptions:
    table = msgspec.structs.asdict(sweep.benchmark)
    return BenchmarkOptions(target=sweep.target, device=device, num_threads=threads, **table)


def _jobs_on(sweep: Sweep, folder: Path, options: BenchmarkOptions) -> Iterator[Job]:
    for path in _artifacts(sweep.artifacts, folder):
        contents = [sha256_of(file) for file in files_of(path)]
        yield Job(_id(options, files=contents), path, None, None, options)
    for model in sweep.models:
        table = ModelTable(model=model) if isinstance(model, str) else model
        for precision in sweep.precisions:
            for format_ in sweep.runtimes:
                yield _model_job(
                    table, sweep, _export(sweep, table, format_, precision, folder), options, folder
                )


def _model_job(
    table: ModelTable, sweep: Sweep, export: ExportOptions, options: BenchmarkOptions, folder: Path
) -> Job:
    is_file = (folder / table.model).is_file()
    model = str(folder / table.model) if is_file else table.model
    asked = {
        "model": sha256_of(folder / table.model) if is_file else table.model,
        "scale": vars(table.scale),
        "export": msgspec.to_builtins(sweep.export),
        "format": export.target,
        "precision": export.precision,
    }
    return Job(_id(options, **asked), None, model, export, options)


def _export(
    sweep: Sweep, table: ModelTable, format_: Format, precision: Precision, folder: Path
) -> ExportOptions:
    own = resolve(sweep.target)[0] if sweep.target else None
    options = ExportOptions(
        target=own.name if own and own.format == format_ else format_,
        precision=precision,
        scale=table.scale,
        **msgspec.structs.asdict(sweep.export),
    )
    calibration = sweep.export.calibration
    if calibration and (folder / calibration).exists():
        return replace(options, calibration=folder / calibration)
    return options


def _artifacts(patterns: Sequence[str], folder: Path) -> list[Path]:
    found: list[Path] = []
    for pattern in patterns:
        matches = sorted(folder.glob(pattern)) if not Path(pattern).is_absolute() else [Path(pattern)]
        if not matches:
            raise InputError(f"artifacts has {pattern!r}, which no file in {folder} is called")
        found += matches
    return found


def _id(options: BenchmarkOptions, **asked: Any) -> str:
    return job_id({**asked, "benchmark": vars(options)})
