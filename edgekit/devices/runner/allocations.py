"""What onnxruntime logs of its arena, the memory that it keeps for activations."""

from __future__ import annotations

import re
import sys

__all__ = ["arena_bytes", "tell_allocations", "without_allocations"]

_SAYS_ALLOCATIONS = 1  # the severity of information: whenever the arena grows, and little else


def tell_allocations() -> None:
    """Have onnxruntime, where it is loaded, log whenever its arena grows: for processes whose log is read."""
    if "onnxruntime" in sys.modules:
        sys.modules["onnxruntime"].set_default_logger_severity(_SAYS_ALLOCATIONS)


def arena_bytes(log: str) -> int | None:
    """What onnxruntime last said of its arena's size; None where a runtime says nothing of one."""
    totals = re.findall(r"bfc_arena.*Total allocated bytes: (\d+)", log)
    return int(totals[-1]) if totals else None


def without_allocations(log: str) -> str:
    """The lines that are not onnxruntime's account of its memory."""
    return "\n".join(line for line in log.splitlines() if "[I:onnxruntime:" not in line)
