"""Records: one measurement each, with everything needed to believe and to repeat it.

A results file has one JSON object a line and only ever grows. Every object has the fields of
:class:`Record`; its ``kind`` says which others: ``latency``, ``profile``, ``accuracy`` or ``layers``.
A line that a crash cut short was never a record: reading passes over it, appending takes it away.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from edgekit.errors import InputError
from edgekit.options import Format, Precision

__all__ = [
    "SCHEMA",
    "AccuracyRecord",
    "AnyRecord",
    "Environment",
    "LatencyMs",
    "LatencyRecord",
    "LayersRecord",
    "Model",
    "OperatorRow",
    "ProfileRecord",
    "Record",
    "decode",
    "encode",
    "is_whole",
    "job_id",
    "read",
    "utc_now",
]

SCHEMA = 1
"""Version of the lines; a file of another version is refused rather than misread."""

_ID_DIGITS = 16


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """The network inside an artifact, as far as it is known.

    ``macs`` counts multiply-adds of one image; ``weights`` is as in the manifest: ``"imagenet"``,
    ``"random"`` or ``"file:NAME"``.
    """

    name: str | None = None
    family: str | None = None
    width: float | None = None
    depth: float | None = None
    resolution: int | None = None
    num_classes: int | None = None
    params: int | None = None
    macs: int | None = None
    weights: str | None = None


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """The machine that measured, and its state. ``None`` is what the system does not tell.

    ``clock_mhz``, ``temperature_c`` and ``load`` (runnable processes, one-minute average) are as before and
    after the measurement; ``throttled`` names what held the processor back, empty for nothing.
    ``cpu_share`` is processor time over wall time per thread while sampling: 1 is a machine of our own.
    """

    host: str | None = None
    cpu: str | None = None
    machine: str | None = None
    cores: int | None = None
    memory_bytes: int | None = None
    os: str | None = None
    python: str | None = None
    edgekit: str | None = None
    governor: str | None = None
    clock_mhz: tuple[float, float] | None = None
    temperature_c: tuple[float, float] | None = None
    load: tuple[float, float] | None = None
    throttled: tuple[str, ...] | None = None
    cpu_share: float | None = None
    affinity: tuple[int, ...] | None = None


class LatencyMs(msgspec.Struct, frozen=True, kw_only=True):
    """One inference in milliseconds, summarized. ``ci95`` is the 95 % confidence interval of the median."""

    median: float
    min: float
    p90: float
    mean: float
    ci95: tuple[float, float]


class OperatorRow(msgspec.Struct, frozen=True, kw_only=True):
    """One operator of a profile. ``share`` is its part of the whole time, from 0 to 1.

    ``layer`` is the network's layer that it computes, ``delegated`` whether the accelerator or delegate
    took it. ``moved_bytes`` is what it reads and writes at least once, ``None`` where that is unknown.
    """

    name: str
    op: str
    layer: str | None
    ms: float
    share: float
    macs: int | None
    gmacs_per_s: float | None
    delegated: bool
    moved_bytes: int | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What every record has, whatever it measured.

    ``id`` names the job that the record answers: equal jobs have equal ids. ``time`` is UTC in ISO 8601.
    ``artifact`` is the path as it was given, ``sha256`` and ``size_bytes`` those of the file (both files
    of an OpenVINO IR). ``emulated`` marks a processor that was imitated, whose milliseconds are nobody's
    latency. ``command`` repeats the measurement; ``warnings`` are sentences.
    """

    schema: Literal[1] = 1
    id: str
    time: str
    artifact: str
    sha256: str
    size_bytes: int
    format: Format
    precision: Precision | None
    model: Model | None
    target: str | None
    device: str
    runtime: str
    runtime_version: str
    num_threads: int
    emulated: bool
    environment: Environment
    command: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class LatencyRecord(Record, frozen=True, kw_only=True, tag="latency"):
    """How long one inference takes. ``samples_ms`` are all of them, in the order they were taken.

    ``rounds`` counts the samples of each turn, where artifacts took turns; ``session`` is common to
    artifacts that did. ``noise`` says in sentences why the record is ``noisy``. ``sustained`` has
    (seconds since the start, milliseconds) of a long run, ``None`` for a usual one.

    ``arena_bytes`` is what the runtime itself says of its arena after the first inference, which onnxruntime
    alone does. Beside it stand ``runtime_memory_bytes``, what loading and the first inference added to the
    process (packed weights, arena, scratch), and ``planned_arena_bytes``, the tensors between operators of
    a ``.tflite`` file as planned from the file alone. ``deviation`` is how far an accelerator's answers are
    from the processor's, relative to them.
    """

    latency_ms: LatencyMs
    load_ms: float
    first_inference_ms: float
    warmup_runs: int
    peak_memory_bytes: int | None
    arena_bytes: int | None
    planned_arena_bytes: int | None = None
    runtime_memory_bytes: int | None = None
    deviation: float | None = None
    samples_ms: tuple[float, ...]
    rounds: tuple[int, ...] = ()
    session: str | None = None
    noisy: bool
    noise: tuple[str, ...] = ()
    sustained: tuple[tuple[float, float], ...] | None = None


class ProfileRecord(Record, frozen=True, kw_only=True, tag="profile"):
    """Where the time of one inference goes, against what the machine could do at most."""

    operators: tuple[OperatorRow, ...]
    peak_gmacs_per_s: float | None
    bandwidth_gb_per_s: float | None


class AccuracyRecord(Record, frozen=True, kw_only=True, tag="accuracy"):
    """How an artifact classifies labelled images; percentages, and dB against ``reference``."""

    images: int
    top1: float | None
    top5: float | None
    agreement: float | None
    sqnr_db: float | None
    reference: str | None


class LayersRecord(Record, frozen=True, kw_only=True, tag="layers"):
    """How far an artifact is from its reference layer by layer: the rows of ``edgekit compare --layers``."""

    layers: tuple[dict[str, Any], ...]


AnyRecord: TypeAlias = LatencyRecord | ProfileRecord | AccuracyRecord | LayersRecord


_DECODER: msgspec.json.Decoder[AnyRecord] = msgspec.json.Decoder(AnyRecord)


class _Header(msgspec.Struct):
    schema: int


def job_id(job: Mapping[str, Any]) -> str:
    """A name for what ``job`` (plain JSON values) asks for: equal for equal jobs, in whatever order."""
    text = json.dumps(job, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_ID_DIGITS]


def utc_now() -> str:
    """The time as a record writes it."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def encode(record: Record) -> bytes:
    """The record's line, with its end."""
    return msgspec.json.encode(record) + b"\n"


def decode(line: bytes | str) -> AnyRecord:
    """The record of one line. Raises InputError for another schema, an unknown kind or a wrong field."""
    try:
        return _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
        raise _refusal(line, exc) from exc


def _refusal(line: bytes | str, exc: Exception) -> InputError:
    """Why ``line`` is no record: above all, that another version wrote it."""
    with suppress(msgspec.MsgspecError, UnicodeDecodeError):
        schema = msgspec.json.decode(line, type=_Header).schema
        if schema != SCHEMA:
            return InputError(
                f"schema is {schema}, expected {SCHEMA}",
                hint="another version of edgekit wrote this file: read it with that version",
            )
    return InputError(f"not a record of edgekit: {exc}")


def read(path: Path) -> list[AnyRecord]:
    """Every record of a results file, in its order, without a last line that was cut short.

    Raises InputError, with the line's number, for a file that cannot be read or holds something else.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror or exc}") from exc
    records: list[AnyRecord] = []
    for number, line in enumerate(lines[:-1], start=1):
        if line.strip():
            records.append(_decode_line(path, number, line))
    if lines[-1].strip() and is_whole(lines[-1]):
        records.append(_decode_line(path, len(lines), lines[-1]))
    return records


def _decode_line(path: Path, number: int, line: bytes) -> AnyRecord:
    try:
        return decode(line)
    except InputError as exc:
        raise InputError(f"{path} line {number}: {exc}", hint=exc.hint) from exc


def is_whole(line: bytes) -> bool:
    """Whether a line without an end lacks only that, since a JSON object cut short is no JSON."""
    try:
        msgspec.json.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return True
