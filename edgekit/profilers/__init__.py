"""Where the time of one inference goes, operator by operator, as the runtime's own profiler sees it.

:func:`profile_file` chooses the runtime by the file's suffix. Times are of the runtime's kernels in the
whole network, fusions and delegates included, so an operator of the file that another one took in has
none of its own.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import cast

from edgekit.errors import ModelFileError
from edgekit.profilers.base import Operator, Profile, layer_of, layers_of
from edgekit.profilers.roofline import Roofline, measure_roofline

__all__ = [
    "PROFILERS",
    "Operator",
    "Profile",
    "Roofline",
    "layer_of",
    "layers_of",
    "measure_roofline",
    "profile_file",
]

PROFILERS: dict[str, str] = {
    ".tflite": "edgekit.profilers.tflite",
    ".onnx": "edgekit.profilers.onnx",
    ".xml": "edgekit.profilers.openvino",
}
"""File suffix → module that defines ``profile(path, num_threads, num_runs) -> Profile``."""


def profile_file(path: Path, num_threads: int = 1, num_runs: int = 50) -> Profile:
    """Profile ``num_runs`` inferences of random input on this machine's CPU, after a warm-up.

    Raises ModelFileError for a file that is missing, damaged or of another format, MissingExtraError when
    its runtime is not installed, UnsupportedError when the installed runtime has no profiler.
    """
    module = PROFILERS.get(path.suffix.lower())
    if module is None:
        raise ModelFileError(f"{path} has no profiler, expected one of {', '.join(PROFILERS)}")
    return cast(Profile, importlib.import_module(module).profile(path, num_threads, num_runs))
