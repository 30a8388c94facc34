"""One graph, three renderings: TFLite, ONNX and OpenVINO files of the same canonical or quantized graph.

:func:`emit` is the only verb; each format's module is imported when it is first asked for, because
each brings the heavy package of its own runtime.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import cast

import onnx_ir as ir

from edgekit.emit.base import EmitOptions, Emitted, Emitter
from edgekit.errors import UnknownNameError
from edgekit.options import Format

__all__ = ["EMITTERS", "EmitOptions", "Emitted", "emit"]

EMITTERS: dict[Format, str] = {
    "tflite": "edgekit.emit.tflite",
    "onnx": "edgekit.emit.onnx",
    "openvino": "edgekit.emit.openvino",
}
"""Format → module that defines ``emit(model, path, options) -> Emitted``."""


def emit(model: ir.Model, path: Path, format: Format, options: EmitOptions) -> Emitted:
    """Write ``model`` to ``path`` in ``format``, whole or not at all. The model is not changed.

    Raises UnknownNameError for a format without an emitter, UnsupportedError for an operator or an
    option that the format cannot express, CheckError when the file would not be of the precision that
    was asked for, OutputError when it cannot be written.
    """
    if format not in EMITTERS:
        raise UnknownNameError("format", format, EMITTERS)
    emitter = cast(Emitter, importlib.import_module(EMITTERS[format]).emit)
    return emitter(model, path, options)
