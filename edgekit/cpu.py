"""What this machine's processor can do that decides how fast, and how exactly, int8 runs on it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["INT8_DOT", "cpu_features", "read_cpuinfo", "saturates_int8"]

_FEATURES = {
    "avx2": "AVX2",
    "avx_vnni": "AVX-VNNI",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "amx_int8": "AMX int8",
    "asimd": "NEON",
    "asimddp": "NEON dot product",
    "i8mm": "int8 matrix multiply",
    "sve": "SVE",
}
"""Names in /proc/cpuinfo → names for people; the ones that decide how fast int8 is."""

INT8_DOT = frozenset({"AVX-VNNI", "AVX-512 VNNI", "AMX int8", "NEON dot product", "int8 matrix multiply"})
"""Features with which products of bytes are added up in 32 bits at once."""


def read_cpuinfo() -> str:
    """``/proc/cpuinfo``, or nothing on a system without it."""
    try:
        return Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return ""


def cpu_features(cpuinfo: str) -> tuple[str, ...]:
    """What of int8's instructions ``/proc/cpuinfo`` lists, by the names that people know."""
    listed = {
        word
        for line in cpuinfo.splitlines()
        if line.split(":")[0].strip().lower() in {"flags", "features"}
        for word in line.partition(":")[2].split()
    }
    return tuple(name for flag, name in _FEATURES.items() if flag in listed)


def saturates_int8(features: tuple[str, ...] | None) -> bool:
    """Whether int8 kernels add pairs of products in 16 bits: x86 without VNNI. False for what is unknown.

    onnxruntime and OpenVINO do so there, see :mod:`edgekit.graph.pair_sums`. Arm's kernels, and LiteRT's,
    widen before they add.
    """
    return features is not None and "NEON" not in features and not INT8_DOT & set(features)
