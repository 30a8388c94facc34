"""What a target refuses: each limit is one check of one file, and its refusal one sentence.

:data:`LIMITS` is the table. The first line of each check's docstring is what documentation prints.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from edgekit.errors import ModelFileError, UnsupportedError
from edgekit.micro.arena import plan_arena
from edgekit.micro.operators import operators_of
from edgekit.options import Format, Precision
from edgekit.runtimes.base import readable_file
from edgekit.runtimes.gpu_kernels import wrong_operators
from edgekit.runtimes.tflite_file import read
from edgekit.target import Target

__all__ = ["LIMITS", "Facts", "Limit", "check", "facts_of", "operators_of", "refusals"]


@dataclass(frozen=True)
class Facts:
    """What limits look at in one file; None is what the format does not tell.

    ``operators`` are those of the file with the highest version of each. ``activation_bytes`` are alive at
    once in the file's order of operators, ``peak_operator`` says where; ``arena_bytes`` adds what TensorFlow
    Lite Micro keeps. ``runtime_version`` is the oldest runtime that knows the operators' versions.
    ``wrong_on_gpu`` are operators that LiteRT's accelerator computes wrongly.
    """

    name: str
    format: Format
    size_bytes: int
    operators: Mapping[str, int]
    precision: Precision | None = None
    activation_bytes: int | None = None
    arena_bytes: int | None = None
    peak_operator: str = ""
    runtime_version: str | None = None
    wrong_on_gpu: tuple[str, ...] = ()


Limit: TypeAlias = Callable[[Target, Facts], str | None]
"""One check: the sentence that refuses the file, or None."""


def refusals(target: Target, path: Path | str) -> tuple[str, ...]:
    """Why ``target`` cannot run that file, one sentence for each limit that it breaks; empty when it can.

    Raises ModelFileError for a file that cannot be read. A bare format refuses nothing.
    """
    facts = facts_of(path)
    return tuple(sentence for limit in LIMITS if (sentence := limit(target, facts)))


def check(target: Target, path: Path | str, *, force: bool = False) -> tuple[str, ...]:
    """:func:`refusals` as an error; with ``force`` they are returned, to be shown as warnings.

    Raises UnsupportedError for a file that the target refuses, ModelFileError for one that cannot be read.
    """
    found = refusals(target, path)
    if found and not force:
        raise UnsupportedError(
            "; ".join(found), hint="choose a smaller network or another target, or --force"
        )
    return found


def facts_of(path: Path | str) -> Facts:
    """What can be learned about one ``.tflite``, ``.onnx`` or ``.xml`` file without running it.

    Raises ModelFileError for a file that is missing, damaged or of another format.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise ModelFileError(
            f"{path} has the suffix {path.suffix or '(none)'!r}, expected one of {', '.join(_READERS)}"
        )
    return reader(readable_file(path))


def _format(target: Target, facts: Facts) -> str | None:
    """The file is in the format that the target's runtime reads."""
    if facts.format == target.format:
        return None
    return f"{facts.name} is a file for {facts.format}, and target {target.name} runs {target.format}"


def _precision(target: Target, facts: Facts) -> str | None:
    """The weights are stored in a precision that the target computes in."""
    if facts.precision is None or facts.precision in target.precisions:
        return None
    return f"{facts.name} is {facts.precision}, and target {target.name} takes {', '.join(target.precisions)}"


def _operators(target: Target, facts: Facts) -> str | None:
    """The target's runtime has a kernel for every operator."""
    allowed = operators_of(target)
    missing = [] if allowed is None else [code for code in facts.operators if code not in allowed]
    if not missing:
        return None
    return f"{facts.name} has operators that target {target.name} does not: {', '.join(missing)}"


def _wrong_kernels(target: Target, facts: Facts) -> str | None:
    """LiteRT's accelerator computes every operator rightly."""
    if target.accelerator != "litert-gpu" or not facts.wrong_on_gpu:
        return None
    first, *others = facts.wrong_on_gpu
    more = f", and {len(others)} more" if others else ""
    return f"{facts.name} has operators that LiteRT's accelerator does wrongly: {first}{more}"


def _runtime_version(target: Target, facts: Facts) -> str | None:
    """The target's runtime is as new as the operators' versions ask for."""
    have, need = target.runtime_version, facts.runtime_version
    if have is None or need is None or _numbers(need) <= _numbers(have):
        return None
    return f"{facts.name} needs {target.runs_on} {need}, and target {target.name} has {have}"


def _flash(target: Target, facts: Facts) -> str | None:
    """The file fits into flash."""
    if target.flash_bytes is None or facts.size_bytes <= target.flash_bytes:
        return None
    return (
        f"{facts.name} has {facts.size_bytes:,} bytes, and the flash of target {target.name} "
        f"{target.flash_bytes:,}: {facts.size_bytes - target.flash_bytes:,} too many"
    )


def _ram(target: Target, facts: Facts) -> str | None:
    """The memory that an inference works in fits into RAM, with the weights where they are not in flash."""
    in_flash = target.flash_bytes is not None
    working = facts.arena_bytes if in_flash else facts.activation_bytes
    if target.ram_bytes is None or working is None:
        return None
    needed = working if in_flash else working + facts.size_bytes
    if needed <= target.ram_bytes:
        return None
    return (
        f"{facts.name} needs {needed:,} bytes of RAM, and target {target.name} has {target.ram_bytes:,}: "
        f"{needed - target.ram_bytes:,} too many, most of them at {facts.peak_operator}"
    )


LIMITS: tuple[Limit, ...] = (
    _format,
    _precision,
    _operators,
    _wrong_kernels,
    _runtime_version,
    _flash,
    _ram,
)
"""Every limit, in the order in which refusals are told."""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _tflite_facts(path: Path) -> Facts:
    file = read(path)
    plan = plan_arena(file)
    return Facts(
        name=path.name,
        format="tflite",
        size_bytes=file.size_bytes,
        operators=file.versions,
        precision=file.precision,
        activation_bytes=plan.activation_bytes,
        arena_bytes=plan.total_bytes,
        peak_operator=plan.peak_operator,
        runtime_version=file.min_runtime_version,
        wrong_on_gpu=wrong_operators(file),
    )


def _onnx_facts(path: Path) -> Facts:
    import onnx  # only this format needs it
    from google.protobuf.message import (  # type: ignore[import-untyped]  # protobuf ships no types
        DecodeError,
    )

    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, ValueError) as exc:
        raise ModelFileError(f"{path} is not an ONNX file: {exc}", hint="export the model again") from exc
    versions = {entry.domain: entry.version for entry in model.opset_import}
    operators = {node.op_type: versions.get(node.domain, 1) for node in model.graph.node}
    return Facts(path.name, "onnx", path.stat().st_size, dict(sorted(operators.items())))


def _openvino_facts(path: Path) -> Facts:
    try:
        layers = ElementTree.parse(path).getroot().iter("layer")
        types = {layer.get("type", ""): _opset(layer.get("version", "")) for layer in layers}
    except ElementTree.ParseError as exc:
        raise ModelFileError(
            f"{path} is not an OpenVINO model: {exc}", hint="export the model again"
        ) from exc
    weights = readable_file(path, ".bin").stat().st_size
    return Facts(path.name, "openvino", path.stat().st_size + weights, dict(sorted(types.items())))


def _opset(version: str) -> int:
    digits = version.removeprefix("opset")
    return int(digits) if digits.isdigit() else 1


_READERS: dict[str, Callable[[Path], Facts]] = {
    ".tflite": _tflite_facts,
    ".onnx": _onnx_facts,
    ".xml": _openvino_facts,
}
