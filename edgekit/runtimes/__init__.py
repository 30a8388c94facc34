"""Running exported files by the runtimes that applications use, one interface for all.

:func:`load` chooses by the file's suffix; each runtime's package is imported when first needed.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import cast

from edgekit.errors import ModelFileError
from edgekit.runtimes.base import IntegerCoverage, Port, Runner

__all__ = ["RUNTIMES", "IntegerCoverage", "Port", "Runner", "load"]

RUNTIMES: dict[str, str] = {
    ".tflite": "edgekit.runtimes.tflite",
    ".onnx": "edgekit.runtimes.onnx",
    ".xml": "edgekit.runtimes.openvino",
}
"""File suffix → module that defines ``load(path, num_threads) -> Runner``."""


def load(path: Path | str, num_threads: int = 1) -> Runner:
    """Load a ``.tflite``, ``.onnx`` or ``.xml`` file on the CPU of this machine.

    Raises ModelFileError for a file that is missing, damaged or of another format, MissingExtraError
    when its runtime is not installed, InputError for a thread count below 1.
    """
    path = Path(path)
    module = RUNTIMES.get(path.suffix.lower())
    if module is None:
        raise ModelFileError(
            f"{path} has the suffix {path.suffix or '(none)'!r}, expected one of {', '.join(RUNTIMES)}",
            hint="OpenVINO models are loaded by their .xml file" if path.suffix == ".bin" else "",
        )
    return cast(Runner, importlib.import_module(module).load(path, num_threads))
