"""``edgekit scale``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit import scaling
from edgekit.cli import console
from edgekit.cli.arguments import Json
from edgekit.cli.console import Column
from edgekit.options import Precision
from edgekit.scaling import ScaleOptions, ScaleResult
from edgekit.search.candidate import Candidate

__all__ = ["app"]

app = console.new_app()

_DEFAULTS = ScaleOptions(budgets=())
_COLUMNS = (
    Column("family"),
    Column("width", is_number=True),
    Column("depth", is_number=True),
    Column("resolution", is_number=True),
    Column("top-1 %", is_number=True),
    Column("M MACs", is_number=True),
    Column("M params", is_number=True, is_optional=True),
    Column("MB", is_number=True),
    Column("KB RAM", is_number=True, is_optional=True),
)
_LATENCY = Column("ms", is_number=True)
_BINDS = Column("binds", is_number=True, is_optional=True)  # a number, so that it is never wrapped


@app.command()
def _scale(
    budget: Annotated[
        list[str] | None,
        typer.Option(
            "--budget",
            metavar="AMOUNT",
            help="300MFLOPs (multiply-adds), 20ms (needs a target), 3.5Mparams, 5MB (file at the precision), "
            "512KB-ram (peak activations); 1 KB is 1000 bytes, 1 KiB 1024. Several join with and.",
            show_default=False,
        ),
    ] = None,
    family: Annotated[
        list[str] | None,
        typer.Option("--family", metavar="F", help="Only these families.", show_default="all"),
    ] = None,
    target: Annotated[
        str,
        typer.Option(
            "--target", metavar="T", help="A name from `edgekit targets list`, or a format for file sizes."
        ),
    ] = _DEFAULTS.target,
    precision: Annotated[
        Precision | None,
        typer.Option("--precision", help="Of the file and of the arithmetic.", show_default="the target's"),
    ] = None,
    num_threads: Annotated[
        int | None,
        typer.Option("--num-threads", metavar="N", help="Of the latency.", show_default="as measured there"),
    ] = None,
    top: Annotated[int, typer.Option("--top", metavar="N", min=1, help="Show the best N.")] = 5,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", metavar="FILE", help="Write the best as a model.toml that other commands take."
        ),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw the front: .svg, .png or .html.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Also print grid, coefficients, rounding and errors.")
    ] = False,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="Build and time the best on this machine's CPU until one meets the latency as measured.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """The most accurate networks that budgets allow, over all families, widths, depths and resolutions.

    Predicted from published results, without torch: top-1 on ImageNet of the fp32 network, trained as its
    family was. A ~ marks a prediction beyond what was published; its error is larger.
    """
    options = ScaleOptions(
        budgets=tuple(budget or ()),
        families=tuple(family or ()),
        target=target,
        precision=precision,
        num_threads=num_threads,
    )
    if measure:
        from edgekit.cli.scale_measured import run_measured  # brings the frameworks that build and run

        run_measured(options, top, out, json)
        return
    result = scaling.scale(options)
    if out:
        scaling.write_model(out, result.candidates[0])
    if plot:
        scaling.draw_front(plot, result)
    if json:
        console.print_json(result.to_json(top))
        return
    _print(result, top)
    if explain:
        from edgekit.cli.scale_explanation import print_explanation  # not needed otherwise

        print_explanation(result)


def _print(result: ScaleResult, top: int) -> None:
    _print_candidates(result, result.candidates[:top])
    others = [one for one in result.best_of_families().values() if one not in result.candidates[:top]]
    if others:
        console.print_line()
        console.print_line("The best of the other families:")
        _print_candidates(result, others)
    console.print_line()
    for line in _notes(result):
        console.print_line(line)


def _print_candidates(result: ScaleResult, candidates: tuple[Candidate, ...] | list[Candidate]) -> None:
    latency = (_LATENCY,) if result.latency_model else ()
    console.print_table((*_COLUMNS, *latency, _BINDS), [_row(result, one) for one in candidates])


def _row(result: ScaleResult, candidate: Candidate) -> tuple[str, ...]:
    accuracy = candidate.accuracy()
    share, budget = result.binds(candidate)
    scaled = candidate.scale
    return (
        candidate.model if candidate.family == "squeezenet" else candidate.family,
        f"{scaled.width:g}",
        f"{scaled.depth:g}",
        str(scaled.resolution),
        f"{_marked(accuracy.top1, accuracy.extrapolates)} ± {accuracy.error:.1f}",
        f"{candidate.macs / 1e6:,.1f}",
        f"{candidate.params / 1e6:,.2f}",
        f"{candidate.size_bytes / 1e6:,.2f}",
        f"{candidate.peak_activation_bytes / 1e3:,.0f}",
        *([_latency(result, candidate)] if result.latency_model else []),
        f"{budget.text} {share:.1%}",
    )


def _latency(result: ScaleResult, candidate: Candidate) -> str:
    latency = result.latency(candidate)
    if latency is None:
        return ""
    return f"{_marked(latency.latency_ms, latency.extrapolates)} ± {latency.error_percent:.0f} %"


def _marked(value: float, extrapolates: bool) -> str:
    return (
        f"{'~' if extrapolates else ''}{value:.3g}"
        if value < 10
        else f"{'~' if extrapolates else ''}{value:.1f}"
    )


def _notes(result: ScaleResult) -> list[str]:
    model = result.latency_model
    notes = [
        f"{result.configurations:,} configurations in {result.seconds:.2f} s, "
        f"{len(result.front)} of them on the front; files are {result.target.format} in {result.precision}.",
        "One MAC is one multiply-add, the FLOP of the papers. Weights of these scales are not published: "
        "train the network to reach its top-1.",
    ]
    if model:
        notes.insert(1, f"ms are predicted for {result.target.name}, {model.title}, not measured.")
    return notes
