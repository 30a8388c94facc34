"""Running OpenVINO IR (``.xml`` with its ``.bin``) on the CPU, and what it executes in integers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from edgekit.errors import MissingExtraError, ModelFileError
from edgekit.runtimes.base import Array, IntegerCoverage, Port, Runner, check_num_threads, readable_file
from edgekit.runtimes.openvino_telemetry import unreported

__all__ = ["CLAMPS", "OpenvinoRunner", "available_devices", "import_openvino", "integer_coverage", "load"]

CLAMPS = frozenset({"Clamp", "Relu"})
"""Operators that limit what the one before them computed."""

_NEUTRAL = frozenset({"Const", "Input", "Output", "Reorder", "Reshape"})
_CONVERTING = frozenset({"Convert", "Eltwise", "FakeQuantize", "Math", "Subgraph"})
_INTEGERS = ("i8", "u8")
_SUMS = ("Add", "Subtract")
_INFO = "edgekit"


class OpenvinoRunner(Runner):
    """One model compiled for the CPU."""

    runtime = "openvino"

    def __init__(self, path: Path, num_threads: int = 1, *, profile: bool = False) -> None:
        openvino = import_openvino()
        model = _read_file(path)
        self._compiled = compiled = _compile(path, model, num_threads, profile=profile)
        self._request = compiled.create_infer_request()
        inputs = [_port(port, model) for port in compiled.inputs]
        outputs = [_port(port, model) for port in compiled.outputs]
        super().__init__(path, str(openvino.__version__).split("-")[0], inputs, outputs)

    def _run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        results = self._request.infer(dict(feeds), share_inputs=True)
        return {port.name: np.array(results[index]) for index, port in enumerate(self.outputs)}

    def counters(self) -> list[Any]:
        """What each node took in the mean of all runs, in whole microseconds, for a runner that profiles.

        A node that took less than one has the status ``NOT_RUN``.
        """
        return list(self._request.profiling_info)

    def executed_graph(self) -> list[Any]:
        """The nodes that the plugin made of the file."""
        return list(self._compiled.get_runtime_model().get_ordered_ops())


def load(path: Path, num_threads: int = 1) -> OpenvinoRunner:
    """Load an ``.xml`` file; ModelFileError when it or its ``.bin`` is missing, damaged or not runnable."""
    return OpenvinoRunner(path, num_threads)


def import_openvino() -> ModuleType:
    """The package, imported without reporting that to its makers, or MissingExtraError."""
    try:
        with unreported():
            import openvino
    except ImportError as exc:
        raise MissingExtraError("openvino", "openvino", "an OpenVINO model") from exc
    module: ModuleType = openvino
    return module


def available_devices() -> tuple[str, ...]:
    """What OpenVINO can compile for on this machine: ``CPU``, ``GPU`` … Raises MissingExtraError."""
    return tuple(import_openvino().Core().available_devices)


def _read_file(path: Path) -> Any:  # openvino's types are those of its C++ core
    openvino = import_openvino()
    readable_file(path)
    readable_file(path, ".bin")
    with _file_errors(path):
        return openvino.Core().read_model(str(path))


def _compile(path: Path, model: Any, num_threads: int, *, profile: bool = False) -> Any:
    """The model compiled for the CPU, computing in float32 where it does not compute in integers.

    ``INFERENCE_PRECISION_HINT`` is set because OpenVINO would otherwise use bfloat16 on CPUs that have
    AMX, and an fp32 file would answer differently on different machines.
    """
    settings: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": check_num_threads(num_threads),
    }
    if profile:
        settings |= {"PERF_COUNT": True, "NUM_STREAMS": 1}  # every stream has counters of its own
    with _file_errors(path):
        return import_openvino().Core().compile_model(model, "CPU", settings)


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except RuntimeError as exc:
        reason = str(exc).strip().splitlines()[-1]
        raise ModelFileError(
            f"OpenVINO cannot load {path}: {reason}", hint="export or download the .xml and .bin again"
        ) from exc


def integer_coverage(path: Path) -> IntegerCoverage:
    """Compile an int8 ``.xml`` file and count what the CPU plugin executes in integers."""
    integer_ops: Counter[str] = Counter()
    float_ops: Counter[str] = Counter()
    constants: set[str] = set()
    boundary = sums = 0
    model = _read_file(path)
    adding = _adding(model)
    compiled = _compile(path, model, num_threads=1)
    for node in compiled.get_runtime_model().get_ordered_ops():
        kind = _kind(node)
        sources = [value.get_source_output().get_node() for value in node.inputs()]
        if _is_constant(kind, sources, constants):
            constants.add(node.get_friendly_name())
        elif _is_boundary(node, kind, sources):
            boundary += 1
        elif kind not in _NEUTRAL:
            is_integer = node.get_rt_info()["runtimePrecision"].astype(str) in _INTEGERS
            if not is_integer and adding.issuperset(_parts(node)):
                sums += 1
            else:
                (integer_ops if is_integer else float_ops)[kind] += 1
    return IntegerCoverage(dict(integer_ops), dict(float_ops), boundary, float_sums=sums)


def _adding(model: Any) -> frozenset[str]:
    """Operators of a file that add two computed values, with the clamps and roundings of terms and sums."""
    found: set[str] = set()
    terms: set[str] = set()
    roundings: dict[str, str] = {}
    for node in model.get_ordered_ops():
        name, kind = node.get_friendly_name(), node.get_type_name()
        sources = [value.get_source_output().get_node() for value in node.inputs()]
        reads = sources[0].get_friendly_name() if sources else ""
        if kind in _SUMS and all(source.get_type_name() != "Constant" for source in sources):
            found.add(name)
            terms.update(source.get_friendly_name() for source in sources)
        elif kind in CLAMPS and reads in found:
            found.add(name)
        elif kind == "FakeQuantize":
            roundings[name] = reads
    return frozenset(found | {name for name, reads in roundings.items() if reads in found | terms})


def _parts(node: Any) -> list[str]:
    """Operators of the file that were joined to a node of the compiled model."""
    return str(node.get_rt_info()["originalLayersNames"].astype(str)).split(",")


def _kind(node: Any) -> str:
    return str(node.get_rt_info()["layerType"].astype(str))


def _is_constant(kind: str, sources: Sequence[Any], constants: set[str]) -> bool:
    """Computed once, when the model is compiled."""
    computed = bool(sources) and all(source.get_friendly_name() in constants for source in sources)
    return kind == "Const" or computed


def _is_boundary(node: Any, kind: str, sources: Sequence[Any]) -> bool:
    """Quantizing the network's input, or dequantizing its output, in an operator of its own."""
    if kind not in _CONVERTING:
        return False
    readers = {_kind(target.get_node()) for value in node.outputs() for target in value.get_target_inputs()}
    return {_kind(source) for source in sources} <= {"Input", "Const"} or readers == {"Output"}


def _port(port: Any, model: Any) -> Port:
    """Name, shape and dtype of an input or output; a dimension that is not fixed is -1."""
    name = port.get_any_name()
    shape = tuple(dim.get_length() if dim.is_static else -1 for dim in port.get_partial_shape())
    dtype = np.dtype(port.get_element_type().to_dtype()).name
    path = [_INFO, "quantization", name]
    if not model.has_rt_info(path):
        return Port(name, shape, dtype)
    parameters = json.loads(model.get_rt_info(path).astype(str))
    return Port(name, shape, dtype, parameters["scale"], parameters["zero_point"])
