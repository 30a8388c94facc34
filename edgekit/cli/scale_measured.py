"""``edgekit scale --measure``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgekit import scaling
from edgekit.cli import console
from edgekit.cli.console import Column
from edgekit.cli.progress import watch
from edgekit.measured_scaling import Measured, MeasuredResult, scale_measured
from edgekit.report.wording import counted
from edgekit.scaling import ScaleOptions

__all__ = ["run_measured"]

_COLUMNS = (
    Column("model"),
    Column("width", is_number=True),
    Column("depth", is_number=True),
    Column("resolution", is_number=True),
    Column("predicted top-1 %", is_number=True),
    Column("M MACs", is_number=True),
    Column("MB", is_number=True),
    Column("predicted ms", is_number=True),
    Column("measured ms", is_number=True),
)


def run_measured(options: ScaleOptions, top: int, out: Path | None, json: bool) -> None:
    """Search with measurements, write the best to ``out`` and print the best ``top``."""
    with watch() as progress:
        result = scale_measured(options, progress)
    if out:
        scaling.write_model(out, result.candidates[0].candidate)
    if json:
        console.print_json(result.to_json(top))
        return
    _print(result, top)


def _print(result: MeasuredResult, top: int) -> None:
    _print_table(result.candidates[:top])
    if result.missed:
        console.print_line()
        console.print_line("Measured too, and over the budget:")
        _print_table(result.missed)
    console.print_line()
    threads = counted(result.num_threads, "thread")
    console.print_line(
        f"Measured on this machine's CPU in {result.precision} with {threads}; {result.seconds:.0f} s. "
        "Top-1 is predicted: weights of these scales are not published."
    )


def _print_table(measured: Sequence[Measured]) -> None:
    console.print_table(_COLUMNS, [_row(one) for one in measured])


def _row(one: Measured) -> tuple[str, ...]:
    scale = one.candidate.scale
    return (
        one.candidate.model,
        f"{scale.width:g}",
        f"{scale.depth:g}",
        str(scale.resolution),
        f"{one.candidate.top1:.1f} ± {one.candidate.accuracy().error:.1f}",
        f"{one.candidate.macs / 1e6:,.1f}",
        f"{one.candidate.size_bytes / 1e6:,.2f}",
        f"{one.predicted_ms:.3g}",
        f"{one.measured_ms:.3g}",
    )
