"""OpenVINO's reports about its use, kept from being sent.

The package reports each import and each conversion to its makers' Google Analytics account unless the
user has run ``opt_in_out --opt_out``, and keeps an identifier in the home folder. The one switch that a
process has is that of continuous integration (``disable_in_ci`` of ``openvino_telemetry.Telemetry``):
nothing is sent, and nothing stored, where the environment says ``CI=true``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["unreported"]

_SWITCH = "CI"


@contextmanager
def unreported() -> Iterator[None]:
    """Import or use OpenVINO inside without its reporting that. The environment is as before afterwards."""
    before = os.environ.get(_SWITCH)
    os.environ[_SWITCH] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SWITCH]
        else:
            os.environ[_SWITCH] = before
