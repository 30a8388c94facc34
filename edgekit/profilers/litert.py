"""LiteRT's own profiler, through the C interface of the library that its Python package brings.

The Python interface has no profiler, and the interpreter's does not look into the XNNPACK delegate. The C
interface profiles every operator that XNNPACK executes, in the network as it runs in an application.
"""

from __future__ import annotations

import ctypes
import importlib.util
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from edgekit.errors import MissingExtraError, ModelFileError, UnsupportedError
from edgekit.runtimes.base import Array
from edgekit.runtimes.tflite import muted_stderr

__all__ = ["Event", "ProfilingSession", "parse"]

_LIBRARY = "libLiteRt.so", "libLiteRt.dylib", "libLiteRt.dll"
_CPU = 1
_WRITE = 1
_TYPE_BYTES = 256
"""More than LiteRT's description of a tensor's type takes."""
_DELEGATE = "Delegate/"
_RUN_ORDER = re.compile(r"=+ Run Order =+\n(.*?)\n\n", re.DOTALL)
_LINE = re.compile(
    r"^\s*(?P<kernel>\S.*?)\s{2,}(?P<times>(?:-?[\d.]+%?\s+)+)(?P<name>\S.*)$",
)
_AVERAGE_MS, _SHARE = 2, 3
"""Which of a line's numbers are the time, after the start and the first run, and its part of all."""
_CUT_OFF_MS = 0.0005
"""XNNPACK tells whole microseconds of each operator, rounded down: half of one is missing on average."""

_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_keep_payload = _Deleter(lambda payload: None)


class Event(NamedTuple):
    """One operator of a run: what ran it, and the name of its output where the delegate had no part in it."""

    kernel: str
    name: str
    ms: float
    delegated: bool


class ProfilingSession:
    """A ``.tflite`` file compiled for the CPU with the profiler switched on. Close it after use.

    Raises UnsupportedError for a LiteRT without the profiler, ModelFileError for a file that it refuses.
    """

    def __init__(self, path: Path, num_threads: int) -> None:
        self._library = _load_library()
        self._destroy: list[Callable[[], object]] = []
        self._payloads: list[ctypes.Array[ctypes.c_char]] = []
        try:
            with muted_stderr():
                self._open(path, num_threads)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release everything, the last first."""
        with muted_stderr():
            while self._destroy:
                self._destroy.pop()()

    def run(self, num_runs: int) -> list[Event]:
        """Run so often on the inputs that were written, and return every operator with its mean time.

        The runs follow each other at once: reading the profile between them would leave the next one with
        cold caches, and a small network half as fast as it is.
        """
        buffers = self._buffers(self._inputs, self._outputs)
        self._call("ResetProfiler", self._profiler)
        self._call("StartProfiler", self._profiler)
        for _ in range(num_runs):
            self._call("RunCompiledModel", self._compiled, _size(0), *buffers)
        self._call("StopProfiler", self._profiler)
        summary = ctypes.c_char_p()
        self._call("GetProfileSummary", self._profiler, self._compiled, ctypes.byref(summary))
        return parse((summary.value or b"").decode())

    def write(self, index: int, array: Array) -> None:
        """Set the input of that index, in the file's order."""
        address = ctypes.c_void_p()
        buffer = self._inputs[index]
        self._call("LockTensorBuffer", buffer, ctypes.byref(address), ctypes.c_int(_WRITE))
        content = np.ascontiguousarray(array)
        assert address.value is not None
        ctypes.memmove(address.value, content.ctypes.data, content.nbytes)
        self._call("UnlockTensorBuffer", buffer)

    def _open(self, path: Path, num_threads: int) -> None:
        environment = self._made("CreateEnvironment", "DestroyEnvironment", ctypes.c_int(0), None)
        model = self._made(
            "CreateModelFromFile", "DestroyModel", environment, ctypes.c_char_p(str(path).encode()), path=path
        )
        options = self._made("CreateOptions", "DestroyOptions")
        self._call("SetOptionsHardwareAccelerators", options, ctypes.c_int(_CPU))
        self._add_options(options, "runtime_options_string", "enable_profiling = true\n")
        self._add_options(options, "xnnpack", f"num_threads = {num_threads}\n")
        self._compiled = self._made(
            "CreateCompiledModel", "DestroyCompiledModel", environment, model, options, path=path
        )
        self._profiler = ctypes.c_void_p()
        self._call("CompiledModelGetProfiler", self._compiled, ctypes.byref(self._profiler))
        if not self._profiler:
            raise _no_profiler()
        signature = ctypes.c_void_p()
        self._call("GetModelSignature", model, _size(0), ctypes.byref(signature))
        self._inputs = self._make_buffers(environment, signature, "Input")
        self._outputs = self._make_buffers(environment, signature, "Output")

    def _add_options(self, options: ctypes.c_void_p, identifier: str, text: str) -> None:
        payload = ctypes.create_string_buffer(text.encode())
        self._payloads.append(payload)
        made = ctypes.c_void_p()
        self._call(
            "CreateOpaqueOptions",
            ctypes.c_char_p(identifier.encode()),
            ctypes.cast(payload, ctypes.c_void_p),
            _keep_payload,
            ctypes.byref(made),
        )
        self._call("AddOpaqueOptions", options, made)

    def _make_buffers(
        self, environment: ctypes.c_void_p, signature: ctypes.c_void_p, kind: str
    ) -> list[ctypes.c_void_p]:
        count = ctypes.c_size_t()
        self._call(f"GetNumSignature{kind}s", signature, ctypes.byref(count))
        return [self._make_buffer(environment, signature, kind, index) for index in range(count.value)]

    def _make_buffer(
        self, environment: ctypes.c_void_p, signature: ctypes.c_void_p, kind: str, index: int
    ) -> ctypes.c_void_p:
        tensor, requirements = ctypes.c_void_p(), ctypes.c_void_p()
        described = (ctypes.c_byte * _TYPE_BYTES)()
        self._call(f"GetSignature{kind}TensorByIndex", signature, _size(index), ctypes.byref(tensor))
        self._call("GetRankedTensorType", tensor, described)
        self._call(
            f"GetCompiledModel{kind}BufferRequirements",
            self._compiled,
            _size(0),
            _size(index),
            ctypes.byref(requirements),
        )
        return self._made(
            "CreateManagedTensorBufferFromRequirements",
            "DestroyTensorBuffer",
            environment,
            described,
            requirements,
        )

    def _buffers(self, *groups: list[ctypes.c_void_p]) -> list[object]:
        arguments: list[object] = []
        for group in groups:
            arguments += [_size(len(group)), (ctypes.c_void_p * len(group))(*[one.value for one in group])]
        return arguments

    def _made(
        self, create: str, destroy: str, *arguments: object, path: Path | None = None
    ) -> ctypes.c_void_p:
        made = ctypes.c_void_p()
        self._call(create, *arguments, ctypes.byref(made), path=path)
        self._destroy.append(lambda: getattr(self._library, f"LiteRt{destroy}")(made))
        return made

    def _call(self, name: str, *arguments: object, path: Path | None = None) -> None:
        try:
            function = getattr(self._library, f"LiteRt{name}")
        except AttributeError as exc:
            raise _no_profiler() from exc
        function.restype = ctypes.c_int
        status = function(*arguments)
        if status and path is not None:
            raise ModelFileError(f"LiteRT cannot load {path}: status {status}", hint="export the model again")
        if status:
            raise UnsupportedError(f"LiteRT's profiler failed in {name} with status {status}")


def _load_library() -> ctypes.CDLL:
    package = importlib.util.find_spec("ai_edge_litert")
    if package is None or not package.submodule_search_locations:
        raise MissingExtraError("ai-edge-litert", "", "profiling TFLite files")
    folder = Path(package.submodule_search_locations[0])
    library = next((folder / name for name in _LIBRARY if (folder / name).is_file()), None)
    if library is None:
        raise _no_profiler()
    return ctypes.CDLL(str(library))


def _no_profiler() -> UnsupportedError:
    return UnsupportedError(
        "the installed LiteRT has no profiler", hint="install ai-edge-litert 2.3, or profile the .onnx file"
    )


def _size(value: int) -> ctypes.c_size_t:
    return ctypes.c_size_t(value)


def parse(summary: str) -> list[Event]:
    """The events of the summary's table in order of execution.

    Times in it are rounded to microseconds, which may be more than an operator takes; parts are finer.
    """
    table = _RUN_ORDER.search(summary)
    lines = table[1].splitlines()[1:] if table else []
    rows = [(found, found["times"].split()) for found in map(_LINE.match, lines) if found]
    longest = max((times for _, times in rows), key=_share, default=None)
    if longest is None or not _share(longest):
        return [_event(found, 0.0) for found, _ in rows]
    total_ms = float(longest[_AVERAGE_MS]) / _share(longest)
    return [_event(found, _share(times) * total_ms) for found, times in rows]


def _share(times: Sequence[str]) -> float:
    return float(times[_SHARE].removesuffix("%")) / 100


def _event(found: re.Match[str], ms: float) -> Event:
    kernel = found["kernel"]
    delegated = kernel.startswith(_DELEGATE)
    return Event(
        kernel.removeprefix(_DELEGATE),
        re.sub(r"\]?:\d+$", "", found["name"].lstrip("[")),
        ms + _CUT_OFF_MS if delegated else ms,
        delegated,
    )
