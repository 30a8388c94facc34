"""Running ``.tflite`` files with LiteRT, and asking how much of one its XNNPACK delegate takes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import MissingExtraError, ModelFileError
from edgekit.runtimes.base import Array, Port, Runner, check_num_threads, readable_file

__all__ = ["DelegationReport", "TfliteRunner", "delegated", "load", "muted_stderr"]

_STDERR = 2
_DELEGATE = "DELEGATE"


@cache
def _interpreter_module() -> Any:
    try:
        from ai_edge_litert import interpreter
    except ImportError as exc:
        raise MissingExtraError("ai-edge-litert", "", "running TFLite files") from exc
    return interpreter


@contextmanager
def muted_stderr() -> Iterator[None]:
    """Keep native code from announcing its delegate on the application's stderr; it knows no log level."""
    try:
        saved = os.dup(_STDERR)
    except OSError:  # the process has no stderr
        yield
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, _STDERR)
    try:
        yield
    finally:
        os.dup2(saved, _STDERR)
        os.close(saved)
        os.close(nothing)


def _open(path: Path, num_threads: int) -> Any:
    """An interpreter with its tensors allocated. Raises ModelFileError for what LiteRT cannot read."""
    readable_file(path)
    module = _interpreter_module()
    try:
        with muted_stderr():
            interpreter = module.Interpreter(model_path=str(path), num_threads=num_threads)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as exc:
        raise ModelFileError(f"LiteRT cannot load {path}: {exc}", hint="export the model again") from exc
    return interpreter


def _port(name: str, detail: Mapping[str, Any]) -> Port:
    shape = tuple(int(size) for size in detail["shape"])
    dtype = np.dtype(detail["dtype"]).name
    scale, zero_point = detail["quantization"]
    return Port(name, shape, dtype, float(scale), int(zero_point)) if scale else Port(name, shape, dtype)


def _named_details(interpreter: Any, kind: str) -> dict[str, Any]:
    """Details of the inputs or outputs by their names in the signature, else by their tensors' names."""
    found = interpreter.get_input_details() if kind == "inputs" else interpreter.get_output_details()
    by_index = {int(detail["index"]): detail for detail in found}
    signatures = interpreter._get_full_signature_list()
    if not signatures:
        return {detail["name"]: detail for detail in found}
    first = next(iter(signatures.values()))
    return {name: by_index[int(index)] for name, index in first[kind].items()}


class TfliteRunner(Runner):
    """One loaded ``.tflite`` file; images are NHWC."""

    runtime = "tflite"

    def __init__(self, path: Path, num_threads: int = 1) -> None:
        self._interpreter = _open(path, check_num_threads(num_threads))
        self._inputs = _named_details(self._interpreter, "inputs")
        self._outputs = _named_details(self._interpreter, "outputs")
        ports = ([_port(*item) for item in found.items()] for found in (self._inputs, self._outputs))
        super().__init__(path, version("ai-edge-litert"), *ports)

    def _run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        for name, array in feeds.items():
            self._interpreter.set_tensor(self._inputs[name]["index"], array)
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(d["index"]) for name, d in self._outputs.items()}


def load(path: Path, num_threads: int = 1) -> TfliteRunner:
    """Load one file. Raises ModelFileError when LiteRT cannot read it."""
    return TfliteRunner(Path(path), num_threads)


@dataclass(frozen=True)
class DelegationReport:
    """How much of a file XNNPACK runs.

    ``total_ops`` counts the file's operators, ``delegated`` those inside ``partitions`` delegate calls;
    ``left`` names the others as ``"CODE output_tensor"``, in execution order. One partition with nothing
    left is what a network should be: every hand-over between delegate and interpreter costs time.
    """

    total_ops: int
    delegated: int
    partitions: int
    left: tuple[str, ...]


def _inside(delegate: Mapping[str, Any], producers: Mapping[int, Mapping[str, Any]]) -> Iterator[int]:
    """Indices of the operators that a delegate call stands for: back from its outputs to its inputs."""
    boundary = {int(index) for index in delegate["inputs"]}
    pending = [int(index) for index in delegate["outputs"]]
    seen: set[int] = set()
    while pending:
        tensor = pending.pop()
        operator = producers.get(tensor)
        if tensor in boundary or operator is None or operator["index"] in seen:
            continue
        seen.add(operator["index"])
        yield operator["index"]
        pending.extend(int(index) for index in operator["inputs"])


def delegated(path: Path) -> DelegationReport:
    """Which operators of a file LiteRT's default XNNPACK delegate takes on this machine.

    Raises ModelFileError when the file cannot be loaded.
    """
    interpreter = _open(Path(path), num_threads=1)
    details = interpreter._get_ops_details()
    names = {int(detail["index"]): detail["name"] for detail in interpreter.get_tensor_details()}
    calls = [detail for detail in details if detail["op_name"] == _DELEGATE]
    operators = [detail for detail in details if detail["op_name"] != _DELEGATE]
    producers = {int(index): operator for operator in operators for index in operator["outputs"]}
    taken = {index for call in calls for index in _inside(call, producers)}
    left = tuple(
        f"{operator['op_name']} {names[int(operator['outputs'][0])]}"
        for operator in operators
        if operator["index"] not in taken
    )
    return DelegationReport(len(operators), len(operators) - len(left), len(calls), left)
