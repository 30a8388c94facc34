"""From an ONNX file to an ``openvino.Model``, by ``openvino.convert_model``."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from edgekit.errors import UnsupportedError
from edgekit.runtimes.openvino import import_openvino
from edgekit.runtimes.openvino_telemetry import unreported

__all__ = ["convert"]


def convert(onnx_bytes: bytes) -> Any:
    """The ``openvino.Model`` of a serialized ONNX file, its shape arithmetic folded into constants.

    Raises MissingExtraError without the package openvino, UnsupportedError for what it cannot convert.
    """
    openvino = import_openvino()
    failures = (
        RuntimeError,
        openvino.frontend.GeneralFailure,
        openvino.frontend.OpConversionFailure,
        openvino.frontend.OpValidationFailure,
    )
    try:
        with unreported(), _root_logger_kept():
            return openvino.convert_model(io.BytesIO(onnx_bytes))
    except failures as exc:
        raise UnsupportedError(f"OpenVINO cannot convert the network: {exc}") from exc


@contextmanager
def _root_logger_kept() -> Iterator[None]:
    """Undo what a failed conversion leaves behind: a root logger that is silent below ``ERROR``."""
    root = logging.getLogger()
    level, filters, handlers = root.level, list(root.filters), list(root.handlers)
    try:
        yield
    finally:
        root.setLevel(level)
        root.filters[:], root.handlers[:] = filters, handlers
