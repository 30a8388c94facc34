"""A network's layers side by side: what each costs, how long it takes, and what quantization does to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

from edgekit.report.document import Bar, Cell, Column, Table
from edgekit.report.runs import LayerCost, Run
from edgekit.report.tables import number
from edgekit.report.wording import kilobytes, millions, milliseconds

__all__ = ["LAYER_MEASURES", "LayerRow", "layer_rows", "layers_table", "measures_of"]

LayerRow: TypeAlias = Mapping[str, float | str | None]
"""``layer`` and ``op``, and a number or None for each of :data:`LAYER_MEASURES`."""

LAYER_MEASURES = (
    "activation KB",
    "params",
    "million multiply-adds",
    "ms",
    "output error, dB",
    "weight error, dB",
)
_ERRORS = ("output error, dB", "weight error, dB")
_NO_ERROR_DB = -60.0  # a ratio beyond which nothing is left to see


def layers_table(key: str, rows: Sequence[LayerRow]) -> Table:
    """Layers with a bar in each cell that is measured against the largest of its column."""
    known = measures_of(rows)
    most = {
        name: max((value for row in rows if isinstance(value := row.get(name), int | float)), default=0.0)
        for name in known
    }
    columns = (Column("layer"), Column("operator"), *(Column(name, True) for name in known))
    body = tuple(
        (str(row["layer"]), str(row["op"]), *(_bar(name, row.get(name), most[name]) for name in known))
        for row in rows
    )
    return Table(key, "Layer by layer", columns, body)


def measures_of(rows: Sequence[LayerRow]) -> list[str]:
    """The measures that any of ``rows`` has."""
    return [name for name in LAYER_MEASURES if any(row.get(name) is not None for row in rows)]


_WRITTEN: Mapping[str, Callable[[float], str]] = {
    "activation KB": lambda value: kilobytes(value * 1024),
    "params": lambda value: f"{value:,.0f}",
    "million multiply-adds": lambda value: millions(value * 1e6),
    "ms": milliseconds,
}


def _bar(name: str, value: float | str | None, most: float) -> Cell:
    if not isinstance(value, int | float):
        return number(None, "")
    written = _WRITTEN[name](value) if name in _WRITTEN else f"{value:.1f}".replace("-", "−")
    share = max(0.0, 1 - value / _NO_ERROR_DB) if name in _ERRORS else (value / most if most else 0.0)
    return Bar(written, value, min(share, 1.0))


def layer_rows(run: Run, costs: Sequence[LayerCost]) -> list[LayerRow]:
    """What is known of each layer of a run, from its costs, its profile and its comparison, by names."""
    times_ms = _times_of_layers(run)
    errors = {str(row.get("name")): row for row in (run.layers.layers if run.layers else ())}
    names = {cost.name: cost for cost in costs}
    order = dict.fromkeys([*names, *errors, *times_ms])
    rows: list[LayerRow] = []
    for name in order:
        cost, error = names.get(name), errors.get(name, {})
        rows.append(
            {
                "layer": name,
                "op": cost.op if cost else str(error.get("op") or "operator"),
                "activation KB": cost.activation_bytes / 1024 if cost else None,
                "params": cost.params if cost else None,
                "million multiply-adds": cost.macs / 1e6 if cost else None,
                "ms": times_ms.get(name),
                "output error, dB": _negative(error.get("output_sqnr_db")),
                "weight error, dB": _negative(error.get("weight_sqnr_db")),
            }
        )
    return rows


def _times_of_layers(run: Run) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in run.profile.operators if run.profile else ():
        name = one.layer or one.name
        found[name] = found.get(name, 0.0) + one.ms
    return found


def _negative(value: object) -> float | None:
    return -float(value) if isinstance(value, int | float) else None
