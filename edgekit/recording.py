"""Records of measurements: what was found, joined with what is known of the file and the machine."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from msgspec.structs import asdict, replace

from edgekit import __version__, limits, manifest
from edgekit.devices import Device
from edgekit.devices.runner import machine
from edgekit.devices.runner.runtimes import version_of
from edgekit.errors import ModelFileError
from edgekit.files import sha256_of
from edgekit.manifest import ManifestModel
from edgekit.measure.noise import noise_of
from edgekit.measure.record import (
    AccuracyRecord,
    Environment,
    LatencyRecord,
    LayersRecord,
    Model,
    job_id,
    utc_now,
)
from edgekit.measure.session import SUFFIXES, BenchmarkOptions, Measurement, Protocol, files_of
from edgekit.measure.statistics import summarize
from edgekit.models.cost import cost
from edgekit.options import Precision
from edgekit.recorded_network import zoo_network
from edgekit.results import Comparison, Evaluation

__all__ = [
    "Conditions",
    "accuracy_record",
    "files_job_id",
    "layers_record",
    "network_in",
    "record_of",
]

_INTEGER_OPERATORS = {"QuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "FakeQuantize"}
_PACKAGES = {"tflite": "ai-edge-litert", "onnx": "onnxruntime", "openvino": "openvino"}
_MACHINE_FIELDS = ("host", "cpu", "machine", "cores", "memory_bytes", "os", "python", "governor")


class Conditions(NamedTuple):
    """Where and how files were measured; ``session`` is common to those that took turns."""

    device: Device
    protocol: Protocol
    options: BenchmarkOptions
    session: str | None


def record_of(
    path: Path, found: Measurement, conditions: Conditions, warnings: tuple[str, ...] = ()
) -> LatencyRecord:
    """What was found of the file at ``path``, with all that is needed to believe and to repeat it."""
    device, protocol, options, session = conditions
    latency = summarize(found.samples_ms)
    noise = noise_of(found, latency, protocol.num_threads)
    return LatencyRecord(
        **_file_fields(path),
        id=files_job_id(path, device.name, protocol, options.target),
        target=options.target,
        device=device.name,
        runtime=found.runtime,
        runtime_version=found.runtime_version,
        num_threads=protocol.num_threads,
        emulated=device.emulated,
        environment=_environment(found),
        command=_command(path, protocol, options),
        warnings=warnings + found.warnings,
        latency_ms=latency,
        load_ms=found.load_ms,
        first_inference_ms=found.first_inference_ms,
        warmup_runs=found.warmup_runs,
        peak_memory_bytes=found.peak_memory_bytes,
        arena_bytes=found.arena_bytes,
        planned_arena_bytes=_planned_arena_bytes(path),
        runtime_memory_bytes=found.runtime_memory_bytes,
        deviation=found.deviation,
        samples_ms=found.samples_ms,
        rounds=tuple(map(len, found.turns)),
        session=session,
        noisy=bool(noise),
        noise=noise,
        sustained=_sustained(found),
    )


def accuracy_record(result: Evaluation | Comparison, data: Path) -> AccuracyRecord:
    """What ``edgekit evaluate`` or ``edgekit compare`` found on this machine with the images in ``data``."""
    compared = result if isinstance(result, Comparison) else None
    words = ["compare", compared.reference.as_posix()] if compared else ["evaluate"]
    return AccuracyRecord(
        **_local_fields(result.artifact, [*words, result.artifact.as_posix(), "--data", str(data)]),
        images=result.images,
        top1=result.top1,
        top5=result.top5,
        agreement=compared.agreement if compared else None,
        sqnr_db=compared.sqnr_db if compared and math.isfinite(compared.sqnr_db) else None,
        reference=compared.reference.as_posix() if compared else None,
    )


def layers_record(
    artifact: Path, layers: Sequence[Mapping[str, Any]], command: Sequence[str], warnings: Sequence[str] = ()
) -> LayersRecord:
    """The rows of ``edgekit compare --layers``; ``command`` are its arguments."""
    return LayersRecord(
        **_local_fields(artifact, command), warnings=tuple(warnings), layers=tuple(map(dict, layers))
    )


def _local_fields(path: Path, command: Sequence[str]) -> dict[str, Any]:
    """What a record made on this machine, on one thread, has besides what was found."""
    format_ = SUFFIXES[path.suffix.lower()]
    return {
        **_file_fields(path),
        "id": job_id({"files": [sha256_of(file) for file in files_of(path)], "command": list(command)}),
        "target": None,
        "device": "local",
        "runtime": format_,
        "runtime_version": version_of(_PACKAGES[format_]) or "unknown",
        "num_threads": 1,
        "emulated": False,
        "environment": _machine(machine.describe()),
        "command": ("edgekit", *command),
    }


def _file_fields(path: Path) -> dict[str, Any]:
    """What every record says of the file at ``path``."""
    precision, model = network_in(path)
    return {
        "time": utc_now(),
        "artifact": path.as_posix(),
        "sha256": sha256_of(path),
        "size_bytes": sum(file.stat().st_size for file in files_of(path)),
        "format": SUFFIXES[path.suffix.lower()],
        "precision": precision,
        "model": model,
    }


def network_in(path: Path) -> tuple[Precision | None, Model | None]:
    """What the manifest beside the file says of it, or the file itself; None for what neither tells."""
    with suppress(ModelFileError):
        document, entry = manifest.of_artifact(path)
        return entry.precision, _model(document.model)
    with suppress(ModelFileError):  # another exporter's file may be beyond our reader, but not the runtime's
        return _precision_of(limits.facts_of(path)), None
    return None, None


def _precision_of(facts: limits.Facts) -> Precision | None:
    """What the file's operators tell where the file does not: int8 and dynamic ones have their own."""
    if facts.precision is None and "DynamicQuantizeLinear" in facts.operators:
        return "dynamic"
    if facts.precision is None and _INTEGER_OPERATORS & set(facts.operators):
        return "int8"
    return facts.precision


def _model(known: ManifestModel) -> Model:
    model = Model(**asdict(known))
    network = zoo_network(model)
    if network is None:
        return model
    costs = cost(network)
    return replace(model, family=network.family, params=costs.params, macs=costs.macs)


def _environment(found: Measurement) -> Environment:
    before, after = found.before, found.after
    held = before.get("throttled"), after.get("throttled")
    return replace(
        _machine(found.machine),
        clock_mhz=(found.clocks_mhz[0], found.clocks_mhz[-1]) if found.clocks_mhz else None,
        temperature_c=_pair(before.get("temperature_c"), after.get("temperature_c")),
        load=_pair(before.get("load"), after.get("load")),
        throttled=None
        if held == (None, None)
        else tuple(dict.fromkeys([*(held[0] or ()), *(held[1] or ())])),
        cpu_share=found.cpu_share,
        affinity=found.cpus or None,
    )


def _machine(facts: Mapping[str, Any]) -> Environment:
    """The fields of a machine that do not change while it measures."""
    return Environment(**{name: facts.get(name) for name in _MACHINE_FIELDS}, edgekit=__version__)


def _pair(before: float | None, after: float | None) -> tuple[float, float] | None:
    return None if before is None or after is None else (before, after)


def _planned_arena_bytes(path: Path) -> int | None:
    with suppress(ModelFileError):
        return limits.facts_of(path).activation_bytes
    return None


def _command(path: Path, protocol: Protocol, options: BenchmarkOptions) -> tuple[str, ...]:
    """The arguments that measure this file in the same way, whatever the defaults will be by then."""
    is_timed = options.num_runs is None and options.sustained_s is None
    flags = {
        "--target": options.target,
        "--device": options.device,
        "--num-threads": protocol.num_threads,
        "--num-runs": options.num_runs,
        "--seconds": f"{options.seconds:g}" if is_timed else None,
        "--warmup-runs": options.warmup_runs,
        "--sustained": f"{options.sustained_s:g}s" if options.sustained_s else None,
        "--cpus": options.cpus,
    }
    words = [word for flag, value in flags.items() if value is not None for word in (flag, str(value))]
    return ("edgekit", "benchmark", path.as_posix(), *words, *(["--force"] if options.force else []))


def _sustained(found: Measurement) -> tuple[tuple[float, float], ...] | None:
    if not found.at_s:
        return None
    return tuple(
        (round(at_s, 3), statistics.median(turn)) for at_s, turn in zip(found.at_s, found.turns, strict=True)
    )


def files_job_id(path: Path, device: str, protocol: Protocol, target: str | None) -> str:
    """The id of measuring the file at ``path`` so: equal content and equal conditions have equal ids."""
    contents = [sha256_of(file) for file in files_of(path)]
    return job_id({"files": contents, "device": device, "target": target, **vars(protocol)})
