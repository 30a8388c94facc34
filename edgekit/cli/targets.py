"""``edgekit targets``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgekit import target
from edgekit.cli import console
from edgekit.cli.arguments import Json
from edgekit.cli.console import Column
from edgekit.cli.progress import watch
from edgekit.cli.target_fields import fields_of, limits_json
from edgekit.latency_model import LatencyErrors, LatencyModel
from edgekit.resources import user_folder

__all__ = ["app"]

app = console.new_app()


@app.callback()
def _targets() -> None:
    """What exports can be made for: devices by name, besides the formats themselves."""


@app.command("list")
def _list(json: Json = False) -> None:
    """Every target that has a name; a format can be given as well."""
    targets = target.all_targets()
    if json:
        console.print_json({"targets": [one.to_json() for one in targets]})
        return
    console.print_table(
        (Column("name"), Column("kind"), Column("format"), Column("precisions"), Column("summary")),
        [(one.name, one.kind, one.format, ", ".join(one.precisions), one.summary) for one in targets],
    )
    console.print_line()
    console.print_line(f"--target also takes a format: {', '.join(target.FORMAT_NAMES)}")


@app.command("show")
def _show(
    name: Annotated[str, typer.Argument(metavar="T", help="A target's name, its TOML file, or a format.")],
    json: Json = False,
) -> None:
    """What one target needs and allows."""
    targets = target.resolve(name)
    if json:
        rows = [one.to_json() | limits_json(one) | _latency_json(one.latency) for one in targets]
        console.print_json({"targets": rows})
        return
    for index, one in enumerate(targets):
        if index:
            console.print_line()
        console.print_fields(fields_of(one))
        for model in one.latency:
            _print_model(model)


@app.command("fit")
def _fit(
    name: Annotated[str, typer.Argument(metavar="T", help="A target's name or its TOML file.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="Write the target with its new prices and errors; of `host`, your own host.toml by default.",
        ),
    ] = None,
    precisions: Annotated[
        list[str] | None,
        typer.Option("--precision", metavar="P", help="Of what is measured here; repeat for several."),
    ] = None,
    num_threads: Annotated[
        int, typer.Option("--num-threads", metavar="N", min=1, help="Of what is measured here.")
    ] = 1,
    json: Json = False,
) -> None:
    """Fit a target's latency models anew: to the measurements in its file, or of `host`, made now.

    Measuring this machine takes some minutes for each precision. The errors are of rows that the fit did
    not see: each is left out once, and so is each family.
    """
    targets = target.resolve(name)
    if targets[0].is_host:
        fitted = [_measure_here(name, precisions, num_threads)]
        out = out or user_folder("targets") / f"{fitted[0].name}.toml"
    else:
        from edgekit.search.latency_fit import fit_target  # brings numpy, which the rest does without

        fitted = [fit_target(one) for one in targets]
    if out:
        target.write(out, fitted[0])
    if json:
        console.print_json(
            {"targets": [one.to_json() | limits_json(one) | _latency_json(one.latency) for one in fitted]}
        )
        return
    for one in fitted:
        for model in one.latency:
            _print_model(model)
    if out:
        console.print_line()
        console.print_line(f"written to {out}")


def _measure_here(name: str, precisions: list[str] | None, num_threads: int) -> target.Target:
    from edgekit.machine_fit import fit_machine  # brings all that makes files and measures them

    chosen: dict[str, Any] = {"precisions": tuple(precisions)} if precisions else {}
    with watch() as progress:
        return fit_machine(name, num_threads=num_threads, progress=progress, **chosen)


_ROW_COLUMNS = (
    Column("measured"),
    Column("ms", is_number=True),
    Column("predicted ms", is_number=True),
    Column("error %", is_number=True),
)


def _print_model(model: LatencyModel) -> None:
    """The measurements of a latency model beside what it predicts, and what it predicts with."""
    from edgekit.search.latency_fit import residuals  # not needed for targets without measurements

    console.print_line()
    console.print_line(f"Latency in {model.title}")
    console.print_line(f"source: {model.source}")
    if model.note:
        console.print_line(model.note)
    console.print_table(
        _ROW_COLUMNS,
        [
            (
                one.title,
                f"{one.row.latency_ms:g}",
                f"{one.predicted_ms:.4g}",
                f"{one.error_percent:+.1f}",
            )
            for one in residuals(model)
        ],
    )
    errors = model.leave_one_out
    if errors:
        console.print_line(
            f"Rows left out of the fit: median error {errors.median:g} %, mean {errors.mean:g} %, "
            f"{errors.within_10:g} % of rows within 10 %; multiply-adds alone: {errors.macs_only_median:g} %."
        )
    families = model.held_out_families
    if families:
        console.print_line(
            f"Families left out of the fit: median error {families.median:g} %, mean {families.mean:g} %, "
            f"{families.within_10:g} % of rows within 10 %."
        )
    prices = [
        f"{price:.4g} per {kind.replace('_', ' ')}" for kind, price in model.nanoseconds.items() if price
    ]
    console.print_line(f"Prices in ns: {', '.join(prices)}.")


def _latency_json(models: tuple[LatencyModel, ...]) -> dict[str, Any]:
    """What `targets show` adds to a target that has measurements."""
    from edgekit.search.latency_fit import residuals

    return {
        "latency": [
            {
                "precision": model.precision,
                "num_threads": model.num_threads,
                "runtime": model.runtime,
                "source": model.source,
                "nanoseconds": model.nanoseconds,
                "leave_one_out_percent": _errors_json(model.leave_one_out),
                "held_out_families_percent": _errors_json(model.held_out_families),
                "rows": [
                    {
                        "model": one.title,
                        "measured_ms": one.row.latency_ms,
                        "predicted_ms": round(one.predicted_ms, 4),
                    }
                    for one in residuals(model)
                ],
            }
            for model in models
        ]
    }


def _errors_json(errors: LatencyErrors | None) -> dict[str, float] | None:
    return {name: getattr(errors, name) for name in errors.__struct_fields__} if errors else None
