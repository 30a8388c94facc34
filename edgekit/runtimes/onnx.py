"""Running ``.onnx`` files with onnxruntime on the CPU."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from edgekit.errors import MissingExtraError, ModelFileError
from edgekit.runtimes.base import Array, Port, Runner, check_num_threads, readable_file

__all__ = ["OnnxRunner", "import_onnxruntime", "load", "open_session"]

_FATAL = 4  # onnxruntime's log severity: an application's user has no use for its warnings
_DTYPES = {"float": "float32", "double": "float64"}


class OnnxRunner(Runner):
    """One onnxruntime session on the CPU."""

    runtime = "onnx"

    def __init__(self, path: Path, num_threads: int = 1) -> None:
        onnxruntime = import_onnxruntime()
        self._session = open_session(path, num_threads)
        metadata = self._session.get_modelmeta().custom_metadata_map
        inputs = _ports(self._session.get_inputs(), metadata)
        outputs = _ports(self._session.get_outputs(), metadata)
        super().__init__(path, str(onnxruntime.__version__), inputs, outputs)

    def _run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        names = [port.name for port in self.outputs]
        return dict(zip(names, self._session.run(names, dict(feeds)), strict=True))


def load(path: Path, num_threads: int = 1) -> OnnxRunner:
    """Load an ONNX file; ModelFileError when it is missing, damaged or not runnable."""
    return OnnxRunner(path, num_threads)


def import_onnxruntime() -> ModuleType:
    """The package, or MissingExtraError."""
    try:
        import onnxruntime
    except ImportError as exc:
        raise MissingExtraError("onnxruntime", "", "running an ONNX file") from exc
    module: ModuleType = onnxruntime
    return module


def open_session(
    path: Path,
    num_threads: int = 1,
    *,
    optimized_path: Path | None = None,
    profile_prefix: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> Any:  # onnxruntime has no type stubs
    """A CPU session; with ``optimized_path`` it also saves the graph as onnxruntime will execute it.

    With ``profile_prefix`` its ``end_profiling()`` writes a file whose path begins so.

    Worker threads stop spinning when a run ends: otherwise they would slow down whatever is measured
    next in the same process. ``settings`` are session configuration entries of onnxruntime.
    """
    onnxruntime = import_onnxruntime()
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    readable_file(path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _FATAL
    options.intra_op_num_threads = check_num_threads(num_threads)
    options.inter_op_num_threads = 1
    for key, value in {"session.force_spinning_stop": "1", **(settings or {})}.items():
        options.add_session_config_entry(key, value)
    if optimized_path is not None:
        options.optimized_model_filepath = str(optimized_path)
    if profile_prefix is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile_prefix)
    refusals = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf)
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except (*refusals, state.NoSuchFile, state.NotImplemented, state.RuntimeException) as exc:
        raise ModelFileError(
            f"onnxruntime cannot load {path}: {exc}", hint="export or download the model again"
        ) from exc


def _ports(arguments: Sequence[Any], metadata: Mapping[str, str]) -> list[Port]:
    return [_port(argument, metadata) for argument in arguments]


def _port(argument: Any, metadata: Mapping[str, str]) -> Port:
    """Name, shape and dtype of an input or output; a dimension that is not fixed is -1."""
    element = argument.type.removeprefix("tensor(").removesuffix(")")
    dtype = np.dtype(_DTYPES.get(element, element)).name
    shape = tuple(dim if isinstance(dim, int) else -1 for dim in argument.shape)
    parameters = json.loads(metadata.get(f"quantization.{argument.name}", "{}"))
    return Port(argument.name, shape, dtype, parameters.get("scale"), parameters.get("zero_point"))
