"""Records for tests of what reads, writes and shows them."""

from __future__ import annotations

from typing import Any

from edgekit.measure.record import Environment, LatencyMs, LatencyRecord, Model

__all__ = ["latency_record"]


def latency_record(**changes: Any) -> LatencyRecord:
    """A latency record of an int8 file on this machine, with ``changes`` of its fields."""
    fields: dict[str, Any] = {
        "id": "0123456789abcdef",
        "time": "2030-01-02T03:04:05.678+00:00",
        "artifact": "out/mobilenet_v2_int8.tflite",
        "sha256": "ab" * 32,
        "size_bytes": 3_600_000,
        "format": "tflite",
        "precision": "int8",
        "model": Model(name="mobilenet_v2", family="mobilenet_v2", width=1.0, depth=1.0, resolution=224),
        "target": "host",
        "device": "local",
        "runtime": "tflite",
        "runtime_version": "2.3.0",
        "num_threads": 1,
        "emulated": False,
        "environment": Environment(host="bench", cpu="A processor", cores=2, load=(0.1, 0.2)),
        "command": ("edgekit", "benchmark", "out/mobilenet_v2_int8.tflite"),
        "latency_ms": LatencyMs(median=5.0, min=4.5, p90=5.5, mean=5.1, ci95=(4.9, 5.1)),
        "load_ms": 12.0,
        "first_inference_ms": 9.0,
        "warmup_runs": 20,
        "peak_memory_bytes": 40_000_000,
        "arena_bytes": None,
        "samples_ms": (5.0, 4.5, 5.5),
        "noisy": False,
    }
    return LatencyRecord(**{**fields, **changes})
