"""``edgekit profile``: where the time of an inference goes, by layers, against the machine's limits."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edgekit import source
from edgekit.benchmarking import benchmark
from edgekit.errors import InputError
from edgekit.measure.record import LatencyRecord, OperatorRow, ProfileRecord, Record, job_id, utc_now
from edgekit.measure.session import SUFFIXES, BenchmarkOptions
from edgekit.models.cost import cost
from edgekit.models.network import Network
from edgekit.options import Precision, ScaleChange
from edgekit.profilers import Operator, Profile, Roofline, layers_of, measure_roofline, profile_file
from edgekit.recorded_network import zoo_network
from edgekit.target import resolve
from edgekit.trial import make_trial

__all__ = ["LayerTime", "ProfileOptions", "ProfileResult", "profile"]

_PLAIN_RUNS = 30
_TRIAL = "a file was made for this profile alone: how long it takes counts, not what it answers"


@dataclass(frozen=True)
class ProfileOptions:
    """How :func:`profile` measures; the fields are the flags of ``edgekit profile``.

    ``target`` and ``precision`` choose the file that is made of a model; a file has its own. An ``.onnx``
    file is profiled as it is unless ``precision`` asks to make one of it.
    """

    target: str = "host"
    precision: Precision | None = None
    scale: ScaleChange = ScaleChange()
    num_threads: int = 1
    num_runs: int = 50


@dataclass(frozen=True)
class LayerTime:
    """A layer of the network: all operators that compute it, in milliseconds of one inference."""

    layer: str
    ops: tuple[str, ...]
    ms: float
    share: float
    macs: int
    moved_bytes: int

    @property
    def gmacs_per_s(self) -> float | None:
        """Multiply-adds a second, in 10⁹; None for a layer that multiplies nothing."""
        return self.macs / self.ms * 1e-6 if self.macs and self.ms > 0 else None

    def of_limit(self, roofline: Roofline) -> float | None:
        """The share, from 0 to 1, of what the machine could do at most; None where nothing is multiplied."""
        if self.gmacs_per_s is None or not self.moved_bytes:
            return None
        return self.gmacs_per_s / roofline.limit_gmacs_per_s(self.macs, self.moved_bytes)


@dataclass(frozen=True)
class ProfileResult:
    """What was measured, as a record and by layers in order of execution.

    ``plain`` is the same file without the profiler, ``total_ms`` the sum over the operators.
    """

    record: ProfileRecord
    plain: LatencyRecord
    layers: tuple[LayerTime, ...]
    roofline: Roofline
    total_ms: float

    @property
    def left(self) -> tuple[OperatorRow, ...]:
        """Operators that the runtime's fast path did not take."""
        return tuple(one for one in self.record.operators if not one.delegated)

    def to_json(self) -> dict[str, Any]:
        record: dict[str, Any] = msgspec.to_builtins(self.record)
        return record | {
            "total_ms": round(self.total_ms, 4),
            "latency_ms": msgspec.to_builtins(self.plain.latency_ms),
            "peak_memory_bytes": self.plain.peak_memory_bytes,
        }


def profile(model: str, options: ProfileOptions | None = None) -> ProfileResult:
    """Profile a ``.tflite``, ``.onnx`` or ``.xml`` file, or a model made into one, on this machine.

    Raises InputError for a target that is not this machine, ModelFileError for a file that cannot be run,
    UnsupportedError when the installed runtime has no profiler, MissingExtraError when something is
    missing.
    """
    options = options or ProfileOptions()
    target = resolve(options.target)[0]
    if target.kind != "format" and not target.is_host:
        raise InputError(
            f"target {target.name} cannot be profiled from here",
            hint="--target host profiles this machine; microcontrollers and NPUs are estimated",
        )
    if Path(model).suffix.lower() in SUFFIXES and options.precision is None:
        return _profile_file(Path(model), options)
    parsed = source.parse(model, options.scale)
    precision = target.precision(options.precision)
    with tempfile.TemporaryDirectory() as folder:
        path = make_trial(model, target.format, precision, Path(folder), options.scale)
        return _profile_file(path, options, model, parsed if isinstance(parsed, Network) else None)


def _profile_file(
    path: Path, options: ProfileOptions, model: str | None = None, network: Network | None = None
) -> ProfileResult:
    """``model`` is what the file was made of when it is a trial that nobody keeps."""
    plain = benchmark(
        [path], BenchmarkOptions(num_threads=options.num_threads, num_runs=_PLAIN_RUNS)
    ).records[0]
    measured = profile_file(path, options.num_threads, options.num_runs)
    roofline = measure_roofline(plain.precision == "int8", options.num_threads)
    layers = _layers(measured, network or zoo_network(plain.model))
    common = {name: getattr(plain, name) for name in Record.__struct_fields__}
    given = model or path.as_posix()
    record = ProfileRecord(
        **common
        | {
            "id": job_id({"profile": plain.sha256, **_flags(options)}),
            "time": utc_now(),
            "artifact": given,
            "target": options.target,
            "command": ("edgekit", "profile", given, *_words(_flags(options))),
            "warnings": (*([_TRIAL] if model else []), *plain.warnings),
        },
        operators=tuple(
            _row(one, layer, measured.total_ms) for one, layer in zip(measured.operators, layers, strict=True)
        ),
        peak_gmacs_per_s=roofline.peak_gmacs_per_s,
        bandwidth_gb_per_s=roofline.bandwidth_gb_per_s,
    )
    return ProfileResult(record, plain, _by_layer(measured, layers), roofline, measured.total_ms)


def _flags(options: ProfileOptions) -> dict[str, Any]:
    scale = {name: value for name, value in vars(options.scale).items() if value is not None}
    flags = {"target": options.target, "precision": options.precision, **scale}
    return {name: value for name, value in flags.items() if value is not None} | {
        "num_threads": options.num_threads,
        "num_runs": options.num_runs,
    }


def _words(flags: dict[str, Any]) -> list[str]:
    return [word for name, value in flags.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def _row(one: Operator, layer: str | None, total_ms: float) -> OperatorRow:
    return OperatorRow(
        name=one.name,
        op=one.op,
        layer=layer,
        ms=one.ms,
        share=one.ms / total_ms if total_ms else 0.0,
        macs=one.macs,
        gmacs_per_s=one.gmacs_per_s,
        delegated=one.delegated,
        moved_bytes=one.moved_bytes,
    )


def _by_layer(measured: Profile, layers: list[str | None]) -> tuple[LayerTime, ...]:
    """Operators of one layer together, where its first one runs; others for themselves."""
    grouped: dict[str, list[Operator]] = {}
    for one, layer in zip(measured.operators, layers, strict=True):
        grouped.setdefault(layer or one.name, []).append(one)
    return tuple(_layer_time(layer, ones, measured.total_ms) for layer, ones in grouped.items())


def _layer_time(layer: str, operators: list[Operator], total_ms: float) -> LayerTime:
    ms = sum(one.ms for one in operators)
    return LayerTime(
        layer,
        tuple(one.op for one in operators),
        ms,
        ms / total_ms if total_ms else 0.0,
        sum(one.macs or 0 for one in operators),
        sum(one.moved_bytes or 0 for one in operators),
    )


def _layers(measured: Profile, network: Network | None) -> list[str | None]:
    """The network's layer that each operator computes; None for every one of a network that is not ours."""
    layers = cost(network).layer_names() if network else []
    return layers_of([one.name for one in measured.operators], layers)
