"""``--fail-over``, which ``edgekit benchmark --baseline`` and ``edgekit report --compare`` share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgekit.errors import CheckError, InputError

if TYPE_CHECKING:
    from edgekit.measure.regression import Change

__all__ = ["share", "slower"]


def share(text: str) -> float:
    """0.05 for ``5%``. Raises InputError for what is no percentage."""
    try:
        value = float(text.removesuffix("%")) / 100
    except ValueError as exc:
        raise InputError(f"--fail-over was given {text!r}, expected a percentage such as 5%") from exc
    if not value >= 0:
        raise InputError(f"--fail-over was given {text!r}, expected 0% or more")
    return value


def slower(regressions: Sequence[Change], limit: float) -> CheckError:
    """The error that names what became slower by more than ``limit``, with its times."""
    found = [
        f"{one.record.artifact} takes {one.record.latency_ms.median:.3f} ms, "
        f"{one.ratio.value - 1:.1%} more than the baseline's {one.baseline.latency_ms.median:.3f} ms"
        for one in regressions
    ]
    return CheckError(f"slower by more than {limit:.1%}: {'; '.join(found)}")
