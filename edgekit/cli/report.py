"""``edgekit report``."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli import console, regressions
from edgekit.cli.arguments import Json
from edgekit.report.wording import counted

if TYPE_CHECKING:
    from edgekit.reporting import ReportResult

__all__ = ["app"]

app = console.new_app()

_DEFAULT = Path("report.html")


@app.command()
def _report(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="RESULTS...", help="Files that `edgekit benchmark -o` and others wrote."),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--out", metavar="FILE", help="A .html, .md, .csv or .json file.")
    ] = _DEFAULT,
    title: Annotated[
        str, typer.Option("--title", metavar="TEXT", help="The heading.", show_default="what it answers")
    ] = "",
    max_drop: Annotated[
        float,
        typer.Option("--max-drop", metavar="POINTS", min=0, help="Top-1 that the fastest file may lack."),
    ] = 1.0,
    compare: Annotated[
        bool, typer.Option("--compare", help="Compare two files, the older first: what became slower.")
    ] = False,
    fail_over: Annotated[
        str | None,
        typer.Option(
            "--fail-over",
            metavar="5%",
            help="With --compare: exit code 1 when a file became slower by more, beyond noise.",
            show_default=False,
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    json: Json = False,
) -> None:
    """One page of measurements: which file to ship, what that gains and costs, and every number."""
    from edgekit import reporting  # brings what reads records, which --help does without

    limit = None if fail_over is None else regressions.share(fail_over)
    options = reporting.ReportOptions(title, max_drop, compare, limit)
    result = reporting.report(results, output, options)
    if json:
        console.print_json(result.to_json())
    else:
        _print(result)
    if open_:
        webbrowser.open(result.path.resolve().as_uri())
    if result.regressions and limit is not None:
        raise regressions.slower(result.regressions, limit)


def _print(result: ReportResult) -> None:
    for sentence in (*result.warnings, *result.document.notes):
        console.warn(sentence)
    for answer in result.document.answers:
        console.print_line(f"{answer.place}: {answer.headline}")
    size = f"{result.path.stat().st_size / 1e6:.2f} MB"
    console.print_line(f"{result.path}: {counted(result.records, 'record')}, {size}")
