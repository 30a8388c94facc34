"""Which int8 files may meet a processor that adds two products in 16 bits, and what to say of it.

It is x86 without VNNI, in onnxruntime and OpenVINO: see :mod:`edgekit.graph.pair_sums`.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.cpu import cpu_features, read_cpuinfo, saturates_int8
from edgekit.options import Format, Precision
from edgekit.quantize import QuantizeOptions
from edgekit.results import Artifact
from edgekit.target import Target

__all__ = ["may_add_in_pairs", "saturates_here", "saturation_warnings"]

_ADDED_IN_PAIRS = ("onnx", "openvino")  # formats whose runtimes do so


def may_add_in_pairs(target: Target, precision: Precision | None) -> bool:
    """Whether a target's file may meet such a processor; ``precision`` is what was asked for, if anything."""
    if not _is_added_in_pairs(target.format, target.precision(precision)):
        return False
    return not target.is_host or _adds_in_pairs_here()


def saturates_here(format: Format, precision: Precision, options: QuantizeOptions) -> bool:
    """Whether a file so quantized answers otherwise on this machine than on others."""
    is_safe = options.pair_sums or options.reduce_range
    return not is_safe and _is_added_in_pairs(format, precision) and _adds_in_pairs_here()


def saturation_warnings(artifacts: Sequence[Artifact], options: QuantizeOptions) -> list[str]:
    """A sentence where files saturate on this machine."""
    if not any(saturates_here(artifact.format, artifact.precision, options) for artifact in artifacts):
        return []
    return [
        "this processor has no VNNI: without the stage pair-sums, int8 files for ONNX and OpenVINO saturate "
        "on it and on others like it"
    ]


def _is_added_in_pairs(format: Format, precision: Precision) -> bool:
    return format in _ADDED_IN_PAIRS and precision == "int8"


def _adds_in_pairs_here() -> bool:
    return saturates_int8(cpu_features(read_cpuinfo()))
