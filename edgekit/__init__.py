"""edgekit: mobile image networks, built, scaled, quantized to INT8, exported and measured.

The verbs of the command line as functions with typed results::

    from edgekit import ExportOptions, export
    result = export("efficientnet_lite0", ExportOptions(target="all", precision="int8"))

Importing the package imports none of the frameworks; each verb brings what it needs when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgekit.options import ExportOptions, ScaleChange

if TYPE_CHECKING:
    from edgekit.benchmarking import benchmark
    from edgekit.calibration_curve import calibration_curve
    from edgekit.checking import check
    from edgekit.description import describe
    from edgekit.diagnosis import compare_layers
    from edgekit.measure.session import BenchmarkOptions
    from edgekit.pipeline import compare, evaluate, export
    from edgekit.profiling import ProfileOptions, profile
    from edgekit.scaling import ScaleOptions, scale
    from edgekit.source import build

__all__ = [
    "BenchmarkOptions",
    "ExportOptions",
    "ProfileOptions",
    "ScaleChange",
    "ScaleOptions",
    "__version__",
    "benchmark",
    "build",
    "calibration_curve",
    "check",
    "compare",
    "compare_layers",
    "describe",
    "evaluate",
    "export",
    "profile",
    "scale",
]

__version__ = "0.1.0"

_LAZY = {
    "BenchmarkOptions": "edgekit.measure.session",
    "ProfileOptions": "edgekit.profiling",
    "ScaleOptions": "edgekit.scaling",
    "benchmark": "edgekit.benchmarking",
    "build": "edgekit.source",
    "calibration_curve": "edgekit.calibration_curve",
    "check": "edgekit.checking",
    "compare": "edgekit.pipeline",
    "compare_layers": "edgekit.diagnosis",
    "describe": "edgekit.description",
    "evaluate": "edgekit.pipeline",
    "export": "edgekit.pipeline",
    "profile": "edgekit.profiling",
    "scale": "edgekit.scaling",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
