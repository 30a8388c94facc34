"""Targets: what a deployment needs and allows, one TOML file each.

The name of a target is also accepted for a format: ``tflite`` (or ``litert``), ``onnx``, ``openvino``,
and ``all`` for the three, which allow every precision that the format has.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from edgekit import resources
from edgekit.errors import InputError, UnknownNameError, UnsupportedError
from edgekit.files import write_atomically
from edgekit.latency_model import LatencyModel
from edgekit.options import FORMATS, Format, Precision

__all__ = [
    "FORMAT_NAMES",
    "FORMAT_PRECISIONS",
    "Accelerator",
    "Kind",
    "Npu",
    "Runtime",
    "Target",
    "all_targets",
    "resolve",
    "write",
]

Kind = Literal["cpu", "gpu", "mcu", "npu", "format"]
Runtime = Literal["litert", "onnxruntime", "openvino", "tflite-micro"]
Accelerator = Literal["litert-gpu", "onnx-cuda", "onnx-webgpu", "openvino-gpu"]

FORMAT_PRECISIONS: dict[Format, tuple[Precision, ...]] = {
    "tflite": ("fp32", "fp16", "int8", "dynamic", "weight-only", "int16"),
    "onnx": ("fp32", "fp16", "int8", "dynamic", "weight-only"),
    "openvino": ("fp32", "fp16", "int8", "weight-only"),
}
"""What each format can hold; the first is what an export makes when no precision is asked for."""

FORMAT_NAMES: dict[str, tuple[Format, ...]] = {
    "tflite": ("tflite",),
    "litert": ("tflite",),
    "onnx": ("onnx",),
    "openvino": ("openvino",),
    "all": FORMATS,
}
"""Names that stand for formats instead of a target's file."""


_RUNTIMES: dict[Format, Runtime] = {"tflite": "litert", "onnx": "onnxruntime", "openvino": "openvino"}


class Npu(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An Ethos-U processor as Arm's compiler ``vela`` names it.

    ``config`` is its ``--accelerator-config``; ``system_config`` and ``memory_mode`` are sections of its
    own ``Arm/vela.ini``: clock and bandwidths, and where weights and activations lie.
    """

    config: str
    system_config: str
    memory_mode: str


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One kind of device. ``precisions`` come in order of preference.

    ``kind`` is ``"format"`` for a bare format. ``summary`` is one line for people. ``latency`` predicts how
    long an inference takes, for each precision and thread count that somebody measured.

    What is None or empty is not limited. ``runtime`` executes the file, by default the format's own;
    ``runtime_version`` is the oldest release to expect there, in TensorFlow's numbers for ``litert``.
    ``operators`` are the only ones that it takes (TFLite's codes or ONNX's types), by default those of
    its runtime. ``flash_bytes`` holds the file, ``ram_bytes`` what an inference works in. ``num_threads``
    is how many cores a network should use there. ``accelerator`` runs the file instead of the processor's
    cores, ``npu`` is what a compiler has to know. ``per_tensor_weights`` asks for one weight scale for each
    tensor instead of one for each output channel. ``sources`` say where the figures are from.
    """

    name: str
    kind: Kind
    format: Format
    precisions: tuple[Precision, ...]
    summary: str = ""
    runtime: Runtime | None = None
    runtime_version: str | None = None
    operators: tuple[str, ...] | None = None
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    num_threads: int | None = None
    accelerator: Accelerator | None = None
    npu: Npu | None = None
    per_tensor_weights: bool = False
    sources: tuple[str, ...] = ()
    latency: tuple[LatencyModel, ...] = ()

    def __post_init__(self) -> None:
        unknown = [name for name in self.precisions if name not in FORMAT_PRECISIONS[self.format]]
        if unknown or not self.precisions:
            raise ValueError(
                f"precisions are {list(self.precisions)}, expected some of "
                f"{list(FORMAT_PRECISIONS[self.format])}, which {self.format} has"
            )

    @property
    def is_host(self) -> bool:
        """Whether files for it run on this machine's processor: ``host``, or one of its other runtimes."""
        return self.name.split("-")[0] == "host"

    @property
    def runs_on(self) -> Runtime:
        """The runtime that executes this target's files."""
        return self.runtime or _RUNTIMES[self.format]

    def precision(self, asked: Precision | None) -> Precision:
        """``asked`` if the target allows it, by default the one it prefers.

        Raises UnsupportedError, naming what is allowed.
        """
        if asked is None:
            return self.precisions[0]
        if asked not in self.precisions:
            raise UnsupportedError(
                f"target {self.name} does not take {asked}, it takes {', '.join(self.precisions)}",
                hint=f"choose another precision, or a target other than {self.name}",
            )
        return asked

    def latency_model(
        self, precision: Precision | None = None, num_threads: int | None = None
    ) -> LatencyModel | None:
        """The latency model of that precision and thread count, by default the first; None without one."""
        for model in self.latency:
            if precision in (None, model.precision) and num_threads in (None, model.num_threads):
                return model
        return None

    def to_json(self) -> dict[str, str | list[str]]:
        return {
            "name": self.name,
            "kind": self.kind,
            "format": self.format,
            "precisions": list(self.precisions),
        }


def resolve(name: str) -> tuple[Target, ...]:
    """The target of that name or path; a format is a target of its own, ``all`` is three.

    Raises UnknownNameError, with the nearest names of targets and formats, and InputError for a file
    that is not a target.
    """
    if name in FORMAT_NAMES:
        return tuple(_of_format(format_) for format_ in FORMAT_NAMES[name])
    if not resources.is_path(name) and name not in (known := resources.names("targets")):
        raise UnknownNameError("target", name, [*known, *FORMAT_NAMES])
    return (_load(name),)


def write(path: Path, one: Target) -> None:
    """Write ``one`` to ``path``, whose stem has to be its name for it to be found. Raises OutputError."""
    write_atomically(path, msgspec.toml.encode(one))


def all_targets() -> tuple[Target, ...]:
    """Every target that has a file, sorted by name."""
    return tuple(_load(name) for name in resources.names("targets"))


def _load(name: str) -> Target:
    path = resources.find("targets", name)
    target = resources.read_toml(path, Target)
    if target.name != path.stem:
        raise InputError(f"{path} cannot be used: name is {target.name!r}, expected {path.stem!r}")
    return target


def _of_format(format_: Format) -> Target:
    return Target(name=format_, kind="format", format=format_, precisions=FORMAT_PRECISIONS[format_])
