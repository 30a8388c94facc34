"""What a benchmark shows: progress on stderr; tables, or one JSON object, on stdout."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Protocol

from edgekit import doctor
from edgekit.cli.console import Column, guard, print_json, print_line, print_table
from edgekit.errors import CheckError

__all__ = ["Claim", "Machine", "Row", "Show", "main", "note", "this_machine"]

_BUSY_LOAD = 0.5


class Row(Protocol):
    """A dataclass that is one line of a table."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def cells(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Claim:
    """A measured number beside the one that was asked for."""

    what: str
    measured: float
    relation: Literal["≤", "≥"]
    asked: float

    @property
    def is_met(self) -> bool:
        return self.measured <= self.asked if self.relation == "≤" else self.measured >= self.asked

    def __str__(self) -> str:
        verdict = "met   " if self.is_met else "MISSED"
        return f"{verdict}  {self.what}: {self.measured:.4g}, asked {self.relation} {self.asked:.4g}"


@dataclass(frozen=True)
class Machine:
    """Where it was measured. ``load`` is how many processes wanted a core in the minute before."""

    cpu: str
    cores: int
    load: float | None

    def __str__(self) -> str:
        load = "unknown" if self.load is None else f"{self.load:.2f}"
        is_busy = self.load is not None and self.load > _BUSY_LOAD
        noise = ": BUSY, so times are noisy; measure again on an idle machine" if is_busy else ""
        return f"{self.cpu}, {self.cores} cores, load before the start {load}{noise}"


def this_machine() -> Machine:
    """Ask before anything is made or measured, since that is load too."""
    cpu = doctor.examine().cpu
    return Machine(cpu.name, cpu.usable_cores, os.getloadavg()[0] if hasattr(os, "getloadavg") else None)


@dataclass(frozen=True)
class Show:
    """Everything that one benchmark found."""

    machine: Machine
    columns: Sequence[Column]
    rows: Sequence[Row]
    claims: Sequence[Claim]
    remarks: Sequence[str] = ()

    def conclude(self, *, as_json: bool) -> None:
        """Print it, and raise CheckError, which is exit code 1, when a claim is missed."""
        if as_json:
            print_json(self._document())
        else:
            self._print()
        missed = sum(not claim.is_met for claim in self.claims)
        if missed:
            raise CheckError(f"{missed} of {len(self.claims)} numbers are not as asked")

    def _document(self) -> dict[str, Any]:
        return {
            "machine": asdict(self.machine),
            "rows": [asdict(row) for row in self.rows],
            "claims": [{**asdict(claim), "is_met": claim.is_met} for claim in self.claims],
        }

    def _print(self) -> None:
        print_table(self.columns, [row.cells() for row in self.rows])
        for paragraph in (self.remarks, self.claims, [self.machine]):
            if paragraph:
                print_line()
            for line in paragraph:
                print_line(str(line))


def note(text: str) -> None:
    """Say on stderr what is being done."""
    sys.stderr.write(f"{text} ...\n")


def main(measure: Callable[[], None]) -> None:
    """Run a benchmark and exit as edgekit's commands do."""
    sys.exit(guard(measure, debug="EDGEKIT_DEBUG" in os.environ))
