"""Numbers in words: one way to write each quantity, on the page, in Markdown and in sentences."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["counted", "joined", "kilobytes", "megabytes", "millions", "milliseconds", "percent", "times"]


def milliseconds(value: float) -> str:
    """Three digits that mean something: 0.123, 4.56, 45.6, 456."""
    digits = 3 if value < 1 else 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:,.{digits}f}"


def megabytes(size_bytes: float) -> str:
    """10⁶ bytes, as files and memory are sold."""
    return f"{size_bytes / 1e6:,.2f}"


def kilobytes(size_bytes: float) -> str:
    """1024 bytes, as activations are counted."""
    return f"{size_bytes / 1024:,.1f}"


def millions(value: float) -> str:
    return f"{value / 1e6:,.2f}"


def percent(value: float) -> str:
    return f"{value:.2f}"


def times(ratio: float) -> str:
    """A ratio as a factor: 3.81 ×."""
    return f"{ratio:.2f}\u00a0×"  # a sign alone on the next line is missed


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 file``, ``2 files``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def joined(words: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
