"""Records of measurements: what a device reported, joined with what is known of the file."""

from __future__ import annotations

import statistics
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from edgekit import __version__, limits, manifest
from edgekit.devices import Device
from edgekit.errors import ModelFileError
from edgekit.files import sha256_of
from edgekit.manifest import ManifestModel
from edgekit.measure.noise import noise_of
from edgekit.measure.record import Environment, LatencyRecord, Model, job_id, utc_now
from edgekit.measure.session import SUFFIXES, BenchmarkOptions, Measurement, Protocol, files_of
from edgekit.measure.statistics import summarize
from edgekit.models import zoo
from edgekit.models.cost import cost
from edgekit.options import Precision

__all__ = ["Conditions", "files_job_id", "record_of"]

_INTEGER_OPERATORS = {"QuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "FakeQuantize"}
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
    precision, model = _network_in(path)
    return LatencyRecord(
        id=files_job_id(path, device.name, protocol, options.target),
        time=utc_now(),
        artifact=path.as_posix(),
        sha256=found.sha256,
        size_bytes=sum(file.stat().st_size for file in files_of(path)),
        format=SUFFIXES[path.suffix.lower()],
        precision=precision,
        model=model,
        target=options.target,
        device=device.name,
        runtime=found.runtime,
        runtime_version=found.runtime_version,
        num_threads=protocol.num_threads,
        emulated=device.emulated,
        environment=_environment(found),
        command=_command(path, options),
        warnings=warnings + found.warnings,
        latency_ms=latency,
        load_ms=found.load_ms,
        first_inference_ms=found.first_inference_ms,
        warmup_runs=found.warmup_runs,
        peak_memory_bytes=found.peak_memory_bytes,
        arena_bytes=found.arena_bytes,
        samples_ms=found.samples_ms,
        rounds=tuple(map(len, found.turns)),
        session=session,
        noisy=bool(noise),
        noise=noise,
        sustained=_sustained(found),
    )


def _network_in(path: Path) -> tuple[Precision | None, Model | None]:
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
    model = Model(
        name=known.name,
        width=known.width,
        depth=known.depth,
        resolution=known.resolution,
        weights=known.weights,
    )
    if known.name not in zoo.names():
        return model
    network = zoo.network(
        known.name,
        width=known.width,
        depth=known.depth,
        resolution=known.resolution,
        num_classes=known.num_classes,
    )
    costs = cost(network)
    return replace(model, family=network.family, params=costs.params, macs=costs.macs)


def _environment(found: Measurement) -> Environment:
    before, after = found.before, found.after
    held = before.get("throttled"), after.get("throttled")
    known = {name: found.machine.get(name) for name in _MACHINE_FIELDS}
    return Environment(
        **known,
        edgekit=__version__,
        clock_mhz=(found.clocks_mhz[0], found.clocks_mhz[-1]) if found.clocks_mhz else None,
        temperature_c=_pair(before.get("temperature_c"), after.get("temperature_c")),
        load=_pair(before.get("load"), after.get("load")),
        throttled=None
        if held == (None, None)
        else tuple(dict.fromkeys([*(held[0] or ()), *(held[1] or ())])),
        cpu_share=found.cpu_share,
        affinity=found.cpus or None,
    )


def _pair(before: float | None, after: float | None) -> tuple[float, float] | None:
    return None if before is None or after is None else (before, after)


def _command(path: Path, options: BenchmarkOptions) -> tuple[str, ...]:
    """The arguments that measure this file in the same way."""
    flags = {
        "--target": options.target,
        "--device": options.device,
        "--num-threads": options.num_threads,
        "--num-runs": options.num_runs,
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
