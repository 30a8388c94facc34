"""Budgets: what a network may cost, as ``300MFLOPs`` or ``20ms``, parsed strictly."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from edgekit.errors import InputError

__all__ = ["AXES", "FORMS", "Budget", "BudgetKind", "format_amount", "parse"]

BudgetKind = Literal["macs", "params", "size", "ram", "latency"]

FORMS: dict[BudgetKind, str] = {
    "macs": "300MFLOPs or 0.3GMACs (multiply-adds; one is one operation)",
    "params": "3.5Mparams",
    "size": "4MB or 512KiB (file at the precision; 1 KB is 1000 bytes, 1 KiB is 1024)",
    "ram": "512KB-ram or 512KiB-ram (peak activations)",
    "latency": "20ms (needs a target)",
}
"""How each kind is written."""

AXES: dict[BudgetKind, str] = {
    "macs": "multiply-adds",
    "params": "parameters",
    "size": "file size, bytes",
    "ram": "peak activations, bytes",
    "latency": "predicted latency, ms",
}
"""What each kind is called on an axis."""

_COUNTS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9}
_BYTES = {"B": 1.0, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
_UNITS: dict[str, tuple[BudgetKind, float]] = {
    **{f"{prefix}{name}": ("macs", size) for prefix, size in _COUNTS.items() for name in ("FLOPs", "MACs")},
    **{f"{prefix}params": ("params", size) for prefix, size in _COUNTS.items()},
    **{unit: ("size", size) for unit, size in _BYTES.items()},
    **{f"{unit}-ram": ("ram", size) for unit, size in _BYTES.items()},
    "us": ("latency", 1e-3),
    "ms": ("latency", 1.0),
    "s": ("latency", 1e3),
}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(.*)", re.ASCII | re.DOTALL)


@dataclass(frozen=True)
class Budget:
    """An upper limit. ``limit`` counts multiply-adds or parameters, bytes, or milliseconds.

    ``text`` is how the user wrote it.
    """

    text: str
    kind: BudgetKind
    limit: float

    def format_limit(self) -> str:
        """``300.0 M multiply-adds``."""
        return format_amount(self.kind, self.limit)


def parse(text: str) -> Budget:
    """The budget that ``text`` means. Raises InputError, saying what was expected, for anything else."""
    matched = _AMOUNT.fullmatch(text)
    if not matched:
        raise _unknown(text, "it does not begin with a number above 0")
    amount, unit = float(matched[1]), matched[2]
    if unit not in _UNITS:
        raise _unknown(text, f"{unit!r} is not a unit" if unit else "it has no unit", unit)
    kind, size = _UNITS[unit]
    if not (amount > 0 and math.isfinite(amount * size)):
        raise _unknown(text, "it has to be a finite amount above 0")
    return Budget(text, kind, amount * size)


def format_amount(kind: BudgetKind, amount: float) -> str:
    """An amount of that kind for people."""
    return _FORMATS[kind](amount)


def _unknown(text: str, why: str, unit: str = "") -> InputError:
    nearest = {known.lower(): known for known in _UNITS}.get(unit.lower().strip())
    if nearest is None and unit:
        nearest = next(iter(difflib.get_close_matches(unit, _UNITS, n=1, cutoff=0.6)), None)
    hint = f"did you mean {text[: len(text) - len(unit)]}{nearest}?" if nearest else ""
    return InputError(
        f"{text!r} is not a budget: {why}", hint=hint or "a budget is " + ", ".join(FORMS.values())
    )


def _counted(noun: str) -> Callable[[float], str]:
    def formatted(amount: float) -> str:
        for size, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
            if amount >= size:
                return f"{amount / size:,.4g} {prefix} {noun}"
        return f"{amount:,.4g} {noun}"

    return formatted


def _bytes(amount: float) -> str:
    return f"{amount / 1e6:,.2f} MB" if amount >= 1e6 else f"{amount / 1e3:,.1f} KB"


_FORMATS: dict[BudgetKind, Callable[[float], str]] = {
    "macs": _counted("multiply-adds"),
    "params": _counted("parameters"),
    "size": lambda amount: f"{_bytes(amount)} of file",
    "ram": lambda amount: f"{_bytes(amount)} of activations",
    "latency": lambda amount: f"{amount:,.3g} ms",
}
