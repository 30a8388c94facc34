"""``edgekit profile``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import edgekit
from edgekit.cli import console, profile_estimate
from edgekit.cli.arguments import Depth, Json, Resolution, Width
from edgekit.cli.console import Column
from edgekit.options import Precision, ScaleChange

if TYPE_CHECKING:
    from edgekit.profiling import LayerTime, ProfileResult

__all__ = ["app"]

app = console.new_app()

_COLUMNS = (
    Column("layer"),
    Column("kernel", is_optional=True),
    Column("ms", is_number=True),
    Column("share %", is_number=True),
    Column("M multiply-adds", is_number=True),
    Column("GMAC/s", is_number=True),
    Column("of limit %", is_number=True),
)


@app.command()
def _profile(
    model: Annotated[
        str,
        typer.Argument(
            metavar="ARTIFACT|MODEL",
            help="A .tflite, .onnx or .xml file, or a MODEL as `edgekit export` takes it, made into one.",
            show_default=False,
        ),
    ],
    target: Annotated[
        str,
        typer.Option(
            "--target",
            metavar="T",
            help="host, a format to make of a MODEL, or a microcontroller or NPU to estimate.",
        ),
    ] = "host",
    precision: Annotated[
        str | None, typer.Option("--precision", help="Of the file that is made of a MODEL.")
    ] = None,
    width: Width = None,
    depth: Depth = None,
    resolution: Resolution = None,
    num_threads: Annotated[int, typer.Option("--num-threads", metavar="N", min=1)] = 1,
    num_runs: Annotated[int, typer.Option("--num-runs", metavar="N", min=1)] = 50,
    top: Annotated[
        int | None,
        typer.Option("--top", metavar="N", min=1, help="Only the N slowest layers, slowest first."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="Add the record to a results file.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw the operators against the roofline: .svg or .png."),
    ] = None,
    json: Json = False,
) -> None:
    """Time, share and multiply-adds of every layer, against what this machine can do at most.

    A microcontroller (memory and multiply-adds) or an Ethos-U NPU (cycles too, by Arm's vela) is estimated.
    """
    scale = ScaleChange(width=width, depth=depth, resolution=resolution)
    chosen: Precision | None = precision  # type: ignore[assignment]  # the target refuses what it does not know
    if _is_estimated(target):
        from edgekit.estimating import EstimateOptions

        wanted = EstimateOptions(target, chosen, scale)
        profile_estimate.show(model, wanted, top=top, files=(out, plot), json=json)
        return
    options = edgekit.ProfileOptions(target, chosen, scale, num_threads, num_runs)
    result = edgekit.profile(model, options)
    if out:
        from edgekit.measure.results_file import append  # only where a file is asked for

        append(out, result.record)
    if plot:
        _draw(result, plot)
    for warning in result.record.warnings:
        console.warn(warning)
    if json:
        console.print_json(result.to_json())
    else:
        _print(result, top)


def _is_estimated(target: str) -> bool:
    from edgekit.estimating import ESTIMATED_KINDS
    from edgekit.target import resolve

    return resolve(target)[0].kind in ESTIMATED_KINDS


def _draw(result: ProfileResult, path: Path) -> None:
    from edgekit.report.operators import OperatorPoint, draw  # brings the drawing packages

    draw(
        path,
        [
            OperatorPoint(
                one.layer, " + ".join(dict.fromkeys(one.ops)), one.ms, one.share, one.macs, one.moved_bytes
            )
            for one in result.layers
        ],
        title=f"{Path(result.record.artifact).name} on {result.record.environment.cpu}",
        peak_gmacs_per_s=result.roofline.peak_gmacs_per_s,
        bandwidth_gb_per_s=result.roofline.bandwidth_gb_per_s,
    )


def _print(result: ProfileResult, top: int | None) -> None:
    layers = result.layers if top is None else sorted(result.layers, key=lambda one: -one.ms)[:top]
    console.print_table(
        _COLUMNS,
        [_cells(one, result) for one in layers],
        (
            "total",
            "",
            f"{result.total_ms:.3f}",
            "100.0",
            _millions(sum(one.macs for one in result.layers)),
            "",
            "",
        ),
    )
    record, plain = result.record, result.plain
    console.print_line()
    console.print_fields(
        {
            "runtime": f"{record.runtime} {record.runtime_version}, {_threads(record.num_threads)}",
            "without profiler": f"{plain.latency_ms.median:.3f} ms"
            + (f", noisy: {plain.noise[0]}" if plain.noisy else ""),
            "peak memory": _megabytes(plain.peak_memory_bytes),
            "machine's limits": f"{result.roofline.peak_gmacs_per_s:.1f} GMAC/s, "
            f"{result.roofline.bandwidth_gb_per_s:.1f} GB/s",
            "off the fast path": ", ".join(f"{one.op} {one.name}" for one in result.left) or "nothing",
        }
    )


def _cells(one: LayerTime, result: ProfileResult) -> tuple[str, ...]:
    share = one.of_limit(result.roofline)
    return (
        one.layer,
        " + ".join(dict.fromkeys(one.ops)),
        f"{one.ms:.3f}",
        f"{100 * one.share:.1f}",
        _millions(one.macs),
        "" if one.gmacs_per_s is None else f"{one.gmacs_per_s:.1f}",
        "" if share is None else f"{100 * share:.0f}",
    )


def _millions(macs: int) -> str:
    return f"{macs * 1e-6:.2f}" if macs else ""


def _threads(number: int) -> str:
    return f"{number} thread{'s' if number > 1 else ''}"


def _megabytes(size_bytes: int | None) -> str:
    return "unknown" if size_bytes is None else f"{size_bytes * 1e-6:.1f} MB"
