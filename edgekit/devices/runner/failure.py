"""What stops a measurement, and how it is said."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["FailureError", "write"]


class FailureError(Exception):
    """What stops the measurement: ``kind`` is for programs, the text for people."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def write(stream: Any, **fields: Any) -> None:
    """Write one JSON line, and send it."""
    stream.write(json.dumps(fields) + "\n")
    stream.flush()
