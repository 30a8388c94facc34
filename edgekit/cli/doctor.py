"""``edgekit doctor``."""

from __future__ import annotations

from edgekit.cli import console
from edgekit.cli.arguments import Json
from edgekit.cli.console import Column
from edgekit.doctor import Diagnosis, examine

__all__ = ["app"]

app = console.new_app()


@app.command()
def _doctor(json: Json = False) -> None:
    """What this machine has for edgekit, and what to do about what is missing."""
    diagnosis = examine()
    if json:
        console.print_json(diagnosis.to_json())
        return
    _print(diagnosis)
    for warning in diagnosis.warnings:
        console.warn(warning)


def _print(diagnosis: Diagnosis) -> None:
    cpu = diagnosis.cpu
    console.print_fields(
        {
            "edgekit": diagnosis.edgekit,
            "Python": diagnosis.python,
            "system": diagnosis.system,
            "processor": f"{cpu.name}, {cpu.architecture}",
            "cores": f"{cpu.cores}, of which {cpu.usable_cores} usable",
            "int8 features": "unknown on this system"
            if cpu.features is None
            else ", ".join(cpu.features) or "none",
            "memory": _gb(diagnosis.memory_bytes),
            "shared memory free": _gb(diagnosis.shared_memory_free_bytes),
            "OMP_NUM_THREADS": diagnosis.omp_num_threads or "not set",
            "cache": diagnosis.cache_folder,
        }
    )
    console.print_line()
    console.print_table(
        (Column("accelerator"), Column("found"), Column("looked for")),
        [(one.accelerator, one.found or "no", one.looked_for) for one in diagnosis.accelerators],
    )
    console.print_line()
    console.print_table(
        (Column("package"), Column("version"), Column("extra")),
        [(package.name, package.version or "missing", package.extra) for package in diagnosis.packages],
    )


def _gb(size_bytes: int | None) -> str:
    return "unknown" if size_bytes is None else f"{size_bytes / 1e9:.1f} GB"
