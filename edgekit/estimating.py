"""What a network takes on a microcontroller or an NPU: ``edgekit profile --target ethos-u55-256``.

Memory is planned, and measured where TensorFlow Lite Micro is installed. Cycles and milliseconds are those
of Arm's compiler for its NPUs; nobody knows them for a Cortex-M without the board, so there are none.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit import limits, source
from edgekit.errors import InputError, MissingExtraError, UnsupportedError
from edgekit.micro import interpreter, vela
from edgekit.micro.arena import plan_arena
from edgekit.micro.vela import VelaEstimate
from edgekit.models.cost import cost
from edgekit.models.network import Network
from edgekit.options import Precision, ScaleChange
from edgekit.profilers.base import layers_of
from edgekit.profilers.tflite import macs_of
from edgekit.recorded_network import zoo_network
from edgekit.recording import network_in
from edgekit.runtimes.tflite_file import TfliteFile, read
from edgekit.target import Target, resolve
from edgekit.trial import make_trial

__all__ = ["ESTIMATED_KINDS", "ArenaNeed", "EstimateOptions", "EstimateResult", "OperatorCost", "estimate"]

ESTIMATED_KINDS = ("mcu", "npu")
"""Kinds of target that are estimated, not measured."""

_TRIAL = "a file was made for this estimate alone: what it takes counts, not what it answers"


@dataclass(frozen=True)
class EstimateOptions:
    """What :func:`estimate` is asked; the fields are flags of ``edgekit profile``.

    ``precision`` and ``scale`` are of the file that is made of a model; a ``.tflite`` file has its own.
    """

    target: str
    precision: Precision | None = None
    scale: ScaleChange = ScaleChange()


@dataclass(frozen=True)
class OperatorCost:
    """One operator. ``memory_bytes`` are in use while it runs, ``cycles`` and ``ms`` are what an NPU takes.

    On a microcontroller nobody knows those two without the board, so they are None.
    """

    name: str
    op: str
    layer: str | None
    macs: int
    memory_bytes: int
    cycles: int | None = None
    ms: float | None = None


@dataclass(frozen=True)
class ArenaNeed:
    """Bytes of TensorFlow Lite Micro's arena, with 64-bit pointers.

    ``planned_bytes`` and ``measured_bytes`` are of the reference kernels, the latter None where the
    interpreter is not installed or does not run the file; ``cmsis_nn_bytes`` adds Arm's scratch memory.
    """

    planned_bytes: int
    measured_bytes: int | None
    cmsis_nn_bytes: int
    peak_operator: str


@dataclass(frozen=True)
class EstimateResult:
    """What one file takes on one target. ``npu`` is Arm's estimate, ``arena`` a microcontroller's memory.

    ``refusals`` say why the target cannot run it, one sentence each; ``warnings`` what else to know.
    """

    artifact: str
    target: str
    size_bytes: int
    operators: tuple[OperatorCost, ...]
    npu: VelaEstimate | None
    arena: ArenaNeed | None
    refusals: tuple[str, ...]
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "artifact": self.artifact,
            "target": self.target,
            "size_bytes": self.size_bytes,
            "operators": [asdict(one) for one in self.operators],
            "npu": _without_layers(self.npu),
            "arena": asdict(self.arena) if self.arena else None,
            "refusals": list(self.refusals),
            "warnings": list(self.warnings),
        }


def estimate(model: str, options: EstimateOptions) -> EstimateResult:
    """What a ``.tflite`` file, or a model made into one, takes on a microcontroller or an NPU.

    Raises InputError for a target of another kind, UnsupportedError for a precision that it does not take
    and for what vela does not compile, ModelFileError for a file that cannot be read, MissingExtraError
    without vela.
    """
    target = resolve(options.target)[0]
    if target.kind not in ESTIMATED_KINDS:
        raise InputError(
            f"target {target.name} is measured, not estimated",
            hint="`edgekit benchmark` measures files, here or on a --device",
        )
    if Path(model).suffix.lower() == ".tflite":
        return _estimated(Path(model), target, model, zoo_network(network_in(Path(model))[1]), ())
    precision = target.precision(options.precision)
    parsed = source.parse(model, options.scale)
    network = parsed if isinstance(parsed, Network) else None
    with tempfile.TemporaryDirectory() as folder:
        path = make_trial(model, target.format, precision, Path(folder), options.scale)
        return _estimated(path, target, model, network, (_TRIAL,))


def _estimated(
    path: Path, target: Target, given: str, network: Network | None, warnings: tuple[str, ...]
) -> EstimateResult:
    file = read(path)
    layers = cost(network).layer_names() if network else []
    npu = vela.estimate(path, target.npu) if target.npu else None
    return EstimateResult(
        artifact=given,
        target=target.name,
        size_bytes=file.size_bytes,
        operators=_npu_operators(npu, layers) if npu else _micro_operators(file, layers),
        npu=npu,
        arena=None if npu else _arena_need(file),
        refusals=limits.refusals(target, path),
        warnings=warnings,
    )


def _npu_operators(found: VelaEstimate, layers: Sequence[str]) -> tuple[OperatorCost, ...]:
    computed = layers_of([one.name for one in found.layers], layers)
    ms_of_cycle = 1e-3 / found.clock_mhz
    return tuple(
        OperatorCost(one.name, one.op, layer, one.macs, one.sram_bytes, one.cycles, one.cycles * ms_of_cycle)
        for one, layer in zip(found.layers, computed, strict=True)
    )


def _micro_operators(file: TfliteFile, layers: Sequence[str]) -> tuple[OperatorCost, ...]:
    names = [file.tensors[one.outputs[0]].name for one in file.operators]
    rows = zip(names, file.operators, layers_of(names, layers), plan_arena(file).live_bytes, strict=True)
    return tuple(
        OperatorCost(name, one.code, layer, macs_of(one, file), live) for name, one, layer, live in rows
    )


def _arena_need(file: TfliteFile) -> ArenaNeed:
    plan = plan_arena(file)
    return ArenaNeed(
        planned_bytes=plan.total_bytes,
        measured_bytes=_measured_bytes(file),
        cmsis_nn_bytes=plan_arena(file, "cmsis-nn").total_bytes,
        peak_operator=plan.peak_operator,
    )


def _measured_bytes(file: TfliteFile) -> int | None:
    ports = (file.tensors[index] for index in file.inputs)
    # What it cannot run is among the refusals already.
    with suppress(MissingExtraError, UnsupportedError):
        return interpreter.run(file.path, [np.zeros(one.shape, one.dtype) for one in ports]).arena.total_bytes
    return None


def _without_layers(found: VelaEstimate | None) -> dict[str, Any] | None:
    """Its own figures; the operators' are told in one form for all targets."""
    if found is None:
        return None
    return {name: value for name, value in found.to_json().items() if name != "layers"}
