"""What ``edgekit targets show`` prints of a target, and adds to its JSON, besides its latency."""

from __future__ import annotations

from typing import Any

from edgekit.micro.operators import operators_of
from edgekit.target import Target

__all__ = ["fields_of", "limits_json"]

_UNITS = {30: "GiB", 20: "MiB", 10: "KiB", 0: "bytes"}
_KINDS = {
    "cpu": "processor",
    "gpu": "graphics processor",
    "mcu": "microcontroller",
    "npu": "neural processor beside a microcontroller",
    "format": "format",
}


def fields_of(one: Target) -> dict[str, object]:
    """Name → value, for people; what is not limited is left out."""
    fields: dict[str, object | None] = {
        "name": one.name,
        "summary": one.summary or "any runtime of the format",
        "kind": _KINDS[one.kind],
        "format": one.format,
        "precisions": f"{', '.join(one.precisions)} (the first is the default)",
        "runtime": " ".join(
            filter(None, (one.runs_on, one.runtime_version and f"{one.runtime_version} or newer"))
        ),
        "accelerator": one.accelerator,
        "NPU": one.npu and f"{one.npu.config}, {one.npu.system_config}, {one.npu.memory_mode}",
        "threads": one.num_threads,
        "flash": _bytes(one.flash_bytes),
        "RAM": _bytes(one.ram_bytes),
        "weights": "one scale for each tensor" if one.per_tensor_weights else None,
        "operators": _operators(one),
        "sources": "; ".join(one.sources) or None,
    }
    return {name: value for name, value in fields.items() if value is not None}


def limits_json(one: Target) -> dict[str, Any]:
    """What ``targets show --json`` adds to a target that has limits; None is no limit."""
    operators = operators_of(one)
    return {
        "runtime": one.runs_on,
        "runtime_version": one.runtime_version,
        "accelerator": one.accelerator,
        "npu": {name: getattr(one.npu, name) for name in one.npu.__struct_fields__} if one.npu else None,
        "num_threads": one.num_threads,
        "flash_bytes": one.flash_bytes,
        "ram_bytes": one.ram_bytes,
        "per_tensor_weights": one.per_tensor_weights,
        "operators": None if operators is None else sorted(operators),
        "sources": list(one.sources),
    }


def _bytes(size: int | None) -> str | None:
    """In the largest unit that leaves no fraction: 1 KiB is 1024 bytes."""
    if size is None:
        return None
    power = next(power for power in (30, 20, 10, 0) if size % 2**power == 0)
    return f"{size >> power:,} {_UNITS[power]}"


def _operators(one: Target) -> str | None:
    operators = operators_of(one)
    return None if operators is None else ", ".join(sorted(operators))
