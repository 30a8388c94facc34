"""Records without measuring: plausible numbers from a seed, for what a report does with them."""

from __future__ import annotations

import random
from typing import Any

from edgekit.measure.record import (
    AccuracyRecord,
    Environment,
    LatencyMs,
    LatencyRecord,
    LayersRecord,
    Model,
    OperatorRow,
    ProfileRecord,
)
from edgekit.options import Format, Precision

FORMATS: dict[Format, str] = {"onnx": "onnx", "tflite": "tflite", "openvino": "xml"}
MODELS = {
    "mobilenet_v2": ("mobilenet_v2", 3_504_872, 300_774_272),
    "efficientnet_lite0": ("efficientnet_lite", 4_652_008, 385_187_552),
    "squeezenet1_1": ("squeezenet", 1_235_496, 349_152_000),
    "mobilenet_v1": ("mobilenet_v1", 4_231_976, 568_740_352),
}
HOST = Environment(
    host="bench", cpu="A processor", cores=4, memory_bytes=8 * 10**9, os="Linux", python="3.11.7"
)


def common(
    model: str = "mobilenet_v2", precision: Precision = "int8", form: Format = "tflite", **changes: Any
) -> dict[str, Any]:
    """The fields that every record has."""
    family, params, macs = MODELS[model]
    name = f"{model}_{precision}.{FORMATS[form]}"
    fields = {
        "id": name,
        "time": "2026-01-02T03:04:05.678+00:00",
        "artifact": f"out/{name}",
        "sha256": f"{name:0<64}",
        "size_bytes": params * (1 if precision == "int8" else 4),
        "format": form,
        "precision": precision,
        "model": Model(
            name=model,
            family=family,
            width=1.0,
            depth=1.0,
            resolution=224,
            params=params,
            macs=macs,
            weights="imagenet",
        ),
        "target": None,
        "device": "local",
        "runtime": form,
        "runtime_version": "1.2.3",
        "num_threads": 1,
        "emulated": False,
        "environment": HOST,
        "command": ("edgekit", "benchmark", f"out/{name}"),
    }
    return fields | changes


def latency(
    median_ms: float = 10.0, *, noisy: bool = False, samples: int = 25, **changes: Any
) -> LatencyRecord:
    generator = random.Random(median_ms)
    samples_ms = tuple(median_ms * generator.uniform(0.9, 1.3) for _ in range(samples))
    own: dict[str, Any] = {
        "latency_ms": LatencyMs(
            median=median_ms,
            min=median_ms * 0.9,
            p90=median_ms * 1.2,
            mean=median_ms * 1.05,
            ci95=(median_ms * 0.98, median_ms * 1.03),
        ),
        "load_ms": 12.5,
        "first_inference_ms": median_ms * 2,
        "warmup_runs": 5,
        "peak_memory_bytes": 60_000_000,
        "arena_bytes": None,
        "samples_ms": samples_ms,
        "noisy": noisy,
        "noise": ("the clock moved",) if noisy else (),
        "sustained": None,
    }
    given = {key: changes.pop(key) for key in list(changes) if key in own}
    return LatencyRecord(**common(**changes), **(own | given))


def accuracy(top1: float | None = 71.5, images: int = 1000, **changes: Any) -> AccuracyRecord:
    return AccuracyRecord(
        **common(**changes),
        images=images,
        top1=top1,
        top5=90.0,
        agreement=97.25,
        sqnr_db=24.0,
        reference="fp32",
    )


def profile(**changes: Any) -> ProfileRecord:
    rows = tuple(
        OperatorRow(
            name=f"op{index}",
            op="Conv",
            layer=layer,
            ms=1.0 + index,
            share=(1.0 + index) / 6,
            macs=10_000_000 * (1 + index),
            gmacs_per_s=10.0,
            delegated=index != 1,
            moved_bytes=1_000_000,
        )
        for index, layer in enumerate(("stem.conv", "blocks.0.depthwise", None))
    )
    return ProfileRecord(**common(**changes), operators=rows, peak_gmacs_per_s=100.0, bandwidth_gb_per_s=10.0)


def layers(**changes: Any) -> LayersRecord:
    rows = (
        {
            "name": "stem.conv",
            "op": "Conv",
            "output_sqnr_db": 31.25,
            "weight_sqnr_db": 35.0,
            "activation_sqnr_db": 40.0,
        },
        {
            "name": "blocks.0.depthwise",
            "op": "Conv",
            "output_sqnr_db": 12.5,
            "weight_sqnr_db": None,
            "activation_sqnr_db": None,
        },
    )
    return LayersRecord(**common(**changes), layers=rows)


def everything() -> list[Any]:
    """Four families, fp32 and int8, three runtimes: 24 files with accuracies, profiles and a long run."""
    records: list[Any] = []
    generator = random.Random(0)
    for model in MODELS:
        for precision in ("fp32", "int8"):
            for form in FORMATS:
                ms = generator.uniform(20, 40) / (2 if precision == "int8" else 1)
                what: dict[str, Any] = {"model": model, "precision": precision, "form": form}
                records.append(latency(ms, **what, noisy=form == "onnx"))
                records.append(accuracy(generator.uniform(60, 75), **what))
    records += [profile(), layers()]
    records.append(latency(11.0, sustained=tuple((float(second), 10 + second / 9) for second in range(20))))
    return records


def many(count: int) -> list[Any]:
    """``count`` records of other files each, every fifth of them the accuracy of the file before."""
    names = list(MODELS)
    records: list[Any] = []
    for index in range(count):
        is_accuracy = index % 5 == 4
        number = index - is_accuracy
        what: dict[str, Any] = {
            "model": names[number % 4],
            "sha256": f"{number:064}",
            "artifact": f"out/net{number}.tflite",
        }
        records.append(
            accuracy(60 + index % 15, **what)
            if is_accuracy
            else latency(20 + index % 60 + index / 1e4, samples=30, **what)
        )
    return records
