"""``edgekit benchmark``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import edgekit
from edgekit.cli import console, regressions
from edgekit.cli.arguments import Json
from edgekit.cli.console import Column
from edgekit.cli.progress import watch
from edgekit.errors import InputError
from edgekit.measure.session import BenchmarkOptions

if TYPE_CHECKING:
    from edgekit.benchmarking import BenchmarkResult, Comparison
    from edgekit.measure.record import LatencyRecord

__all__ = ["app"]

app = console.new_app()

_DEFAULTS = BenchmarkOptions()
_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0}
_COLUMNS = (
    Column("file"),
    Column("median ms", is_number=True),
    Column("95 % CI", is_number=True),
    Column("min", is_number=True, is_optional=True),
    Column("p90", is_number=True, is_optional=True),
    Column("load ms", is_number=True, is_optional=True),
    Column("first ms", is_number=True, is_optional=True),
    Column("peak MB", is_number=True, is_optional=True),
    Column("runs", is_number=True, is_optional=True),
    Column("noisy"),
)
_COMPARED = (
    Column("file"),
    Column("ratio", is_number=True),
    Column("95 % CI", is_number=True),
    Column("difference"),
)
_MOST_TOLD = 3


@app.command()
def _benchmark(
    artifacts: Annotated[
        list[Path] | None,
        typer.Argument(metavar="ARTIFACT...", help=".tflite, .onnx and .xml files, edgekit's or not."),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option("--target", metavar="T", help="A format or a target, whose limits the files must keep."),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", metavar="D", help="Where to run; see `edgekit devices list`.")
    ] = _DEFAULTS.device,
    num_threads: Annotated[
        int | None, typer.Option("--num-threads", metavar="N", show_default="the target's, else 1")
    ] = None,
    num_runs: Annotated[
        int | None,
        typer.Option("--num-runs", metavar="N", help="Exactly so many.", show_default="what fits --seconds"),
    ] = None,
    warmup_runs: Annotated[
        int | None,
        typer.Option("--warmup-runs", metavar="N", help="Exactly so many.", show_default="until steady"),
    ] = None,
    seconds: Annotated[
        float, typer.Option("--seconds", metavar="S", help="Of samples for each file, without --num-runs.")
    ] = _DEFAULTS.seconds,
    sustained: Annotated[
        str | None,
        typer.Option("--sustained", metavar="60s", help="Run each so long without a pause, for heat."),
    ] = None,
    cpus: Annotated[
        str,
        typer.Option(
            "--cpus", metavar="auto|all|2,3", help="Cores to stay on; auto: idle ones of the fastest."
        ),
    ] = _DEFAULTS.cpus,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="Add the records to this JSON-lines file."),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", metavar="FILE", help="Records to compare with; exit code 1 when slower."),
    ] = None,
    fail_over: Annotated[
        str, typer.Option("--fail-over", metavar="5%", help="How much slower than --baseline is too slow.")
    ] = "5%",
    sweep: Annotated[
        Path | None,
        typer.Option("--sweep", metavar="FILE", help="Measure all that a sweep.toml asks for and -o lacks."),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option("--dask", metavar="ADDRESS", help="Run --sweep on workers of this scheduler."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Measure what the target refuses too.")] = False,
    json: Json = False,
) -> None:
    """How long one inference of a file takes; several files take turns, and are compared."""
    limit = regressions.share(fail_over)
    if sweep is not None or dask is not None:
        from edgekit.cli.benchmark_sweep import run_sweep  # brings what exports models

        run_sweep(sweep, artifacts or [], output, dask, json)
        return
    if not artifacts:
        raise InputError("no file was given, expected one or more ARTIFACT, or --sweep")
    options = BenchmarkOptions(
        target=target,
        device=device,
        num_threads=num_threads,
        num_runs=num_runs,
        warmup_runs=warmup_runs,
        seconds=seconds,
        sustained_s=None if sustained is None else _seconds(sustained),
        cpus=cpus,
        force=force,
    )
    with watch() as progress:
        result = edgekit.benchmark(artifacts, options, progress)
        if baseline is not None:
            from edgekit.benchmarking import find_regressions  # brings numpy, which --help does without

            result = find_regressions(result, baseline, limit, options, progress)
    if output is not None:
        from edgekit.measure.results_file import append

        append(output, *result.records)
    _show(result, json)
    if result.regressions:
        raise regressions.slower(result.regressions, limit)


def _show(result: BenchmarkResult, json: bool) -> None:
    for record in result.records:
        for sentence in record.warnings:
            console.warn(sentence)
    _warn_of_noise([record for record in result.records if record.noisy])
    if json:
        console.print_json(result.to_json())
        return
    console.print_table(_COLUMNS, [_row(record) for record in result.records])
    _print_sustained(result.records)
    _print_comparisons(result.comparisons)


def _warn_of_noise(noisy: Sequence[LatencyRecord]) -> None:
    """Say why of each, or where there are many, of the first."""
    told = noisy if len(noisy) <= _MOST_TOLD else noisy[:1]
    for record in told:
        console.warn(f"{record.artifact} is noisy: {'; '.join(record.noise)}")
    if len(told) < len(noisy):
        console.warn(f"{len(noisy) - len(told)} others are noisy too; their records say why")


def _print_comparisons(comparisons: Sequence[Comparison]) -> None:
    """How long files take beside the first one: in a sentence each, or where there are many, a table."""
    if len(comparisons) > _MOST_TOLD:
        console.print_line()
        console.print_line(f"Times as long as {comparisons[0].reference} takes:")
        console.print_table(_COMPARED, [_compared(one) for one in comparisons])
        return
    for one in comparisons:
        ratio, interval, verdict = _compared(one)[1:]
        console.print_line()
        console.print_line(
            f"{one.artifact} takes {ratio} × as long as {one.reference} (95 % CI {interval}): {verdict}"
        )


def _compared(one: Comparison) -> tuple[str, ...]:
    low, high = one.ratio.ci95
    verdict = "real" if one.ratio.is_real else "within noise"
    return one.artifact, f"{one.ratio.value:.3f}", f"{low:.3f} to {high:.3f}", verdict


def _row(record: LatencyRecord) -> tuple[str, ...]:
    if record.emulated:
        # The time of an imitated processor says nothing about a real one.
        return (record.artifact, "emulated", *["-"] * 5, _megabytes(record), str(len(record.samples_ms)), "-")
    latency = record.latency_ms
    low, high = latency.ci95
    return (
        record.artifact,
        f"{latency.median:.3f}",
        f"{low:.3f}–{high:.3f}",
        f"{latency.min:.3f}",
        f"{latency.p90:.3f}",
        f"{record.load_ms:.1f}",
        f"{record.first_inference_ms:.2f}",
        _megabytes(record),
        str(len(record.samples_ms)),
        "yes" if record.noisy else "no",
    )


def _megabytes(record: LatencyRecord) -> str:
    return "-" if record.peak_memory_bytes is None else f"{record.peak_memory_bytes / 1e6:.1f}"


def _print_sustained(records: Sequence[LatencyRecord]) -> None:
    for record in records:
        if record.sustained and not record.emulated:
            points = [f"{ms:.2f} at {seconds:.0f} s" for seconds, ms in _some(record.sustained)]
            console.print_line()
            console.print_line(f"{record.artifact} over time, in ms: {', '.join(points)}")


def _some(points: Sequence[tuple[float, float]], most: int = 7) -> list[tuple[float, float]]:
    """The first, the last, and others at equal distances."""
    count = min(most, len(points))
    return [points[round(index * (len(points) - 1) / max(count - 1, 1))] for index in range(count)]


def _seconds(text: str) -> float:
    number = text.rstrip("smin")
    unit = text[len(number) :] or "s"
    try:
        return float(number) * _UNITS[unit]
    except (ValueError, KeyError) as exc:
        raise InputError(f"--sustained was given {text!r}, expected a time such as 60s or 5m") from exc
