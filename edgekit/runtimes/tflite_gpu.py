"""Running ``.tflite`` files on LiteRT's GPU accelerator, and which operators it does not take.

The accelerator computes in fp16 unless told to keep fp32. The first inference compiles its shaders, which can
take long, above all in software.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile
from types import SimpleNamespace
from typing import IO, Any

import numpy as np

from edgekit.errors import MissingExtraError, ModelFileError, UnsupportedError
from edgekit.runtimes.accelerators import find
from edgekit.runtimes.base import Array, Port, Runner, check_num_threads, readable_file
from edgekit.runtimes.tflite_file import read

__all__ = ["Acceleration", "GpuRunner", "load", "parse_log"]

_STDOUT, _STDERR = 1, 2
_ADAPTER = re.compile(r"Selected adapter: (?P<name>[^\n]*?), arch=")
_SOFTWARE = "adapterType=CPU"
_LEFT = re.compile(r"not supported by GPU delegate:\n(?P<lines>(?:[A-Z0-9_]+: [^\n]*\n)+)")


@dataclass(frozen=True)
class Acceleration:
    """What runs a file: ``adapter`` names the processor, empty where LiteRT does not say.

    ``left`` are the operators that stay on the processor's cores, each with LiteRT's reason, as
    ``"ZEROS_LIKE: Operation is not supported."``; ``total_ops`` counts the file's operators.
    """

    adapter: str
    is_software: bool
    total_ops: int
    left: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether the whole network runs on the accelerator."""
        return not self.left


class GpuRunner(Runner):
    """One ``.tflite`` file on the GPU, what it does not take on the processor; images are NHWC."""

    runtime = "tflite"

    def __init__(self, path: Path, num_threads: int = 1, *, precise: bool = False) -> None:
        check_num_threads(num_threads)
        self._model, said = _compile(readable_file(path), _modules(), precise)
        weakref.finalize(self, _close, self._model)
        self.acceleration = _acceleration(path, said, self._model.is_fully_accelerated())
        signature, names = next(iter(self._model.get_signature_list().items()))
        details = self._model.get_input_tensor_details(signature)
        inputs = [_port(name, details[name]) for name in names["inputs"]]
        details = self._model.get_output_tensor_details(signature)
        outputs = [_port(name, details[name]) for name in names["outputs"]]
        super().__init__(path, version("ai-edge-litert"), inputs, outputs)

    def _run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        given, found = self._model.create_input_buffers(0), self._model.create_output_buffers(0)
        for buffer, port in zip(given, self.inputs, strict=True):
            buffer.write(feeds[port.name])
        ports = zip(found, self.outputs, strict=True)
        try:
            with _captured_output():
                self._model.run_by_index(0, given, found)
                return {port.name: _answer(buffer, port) for buffer, port in ports}
        except RuntimeError as exc:
            raise ModelFileError(f"LiteRT's accelerator cannot run {self.path}: {exc}") from exc


def load(path: Path, num_threads: int = 1, *, precise: bool = False) -> GpuRunner:
    """Load one file; ``precise`` computes in fp32.

    Raises UnsupportedError, saying what was looked for, where there is no graphics processor;
    ModelFileError when LiteRT cannot read the file.
    """
    return GpuRunner(Path(path), num_threads, precise=precise)


def _modules() -> SimpleNamespace:
    try:
        from ai_edge_litert import compiled_model, gpu_options, hardware_accelerator, options
    except ImportError as exc:
        raise MissingExtraError("ai-edge-litert>=2.1", "", "running TFLite files on a GPU") from exc
    return SimpleNamespace(
        Model=compiled_model.CompiledModel,
        Options=options.Options,
        GpuOptions=gpu_options.GpuOptions,
        kinds=hardware_accelerator.HardwareAccelerator,
    )


def _compile(path: Path, modules: SimpleNamespace, precise: bool) -> tuple[Any, str]:
    """The compiled model, and what native code wrote meanwhile: nothing else tells what was left out."""
    available = find("litert-gpu")
    if not available.found:
        raise UnsupportedError(
            f"no graphics processor was found: looked for {available.looked_for}",
            hint="`edgekit doctor` lists what there is; Mesa's software Vulkan proves answers without one",
        )
    read(path)  # so that a damaged file is named as one, which the accelerator does not
    options = modules.Options(
        hardware_accelerators=modules.kinds.GPU | modules.kinds.CPU,
        gpu_options=modules.GpuOptions(enforce_f32=precise),
    )
    with _captured_output() as log:
        try:
            model = modules.Model.from_file(str(path), options=options)
        except (RuntimeError, ValueError) as exc:
            raise ModelFileError(
                f"LiteRT's accelerator cannot load {path} on {available.found}: {' '.join(str(exc).split())}"
            ) from exc
    return model, log[0]


@contextmanager
def _captured_output() -> Iterator[list[str]]:
    """What native code writes to stdout and stderr, in a list when the block ends; it knows no other way."""
    said: list[str] = []
    with TemporaryFile() as file:
        saved = {number: os.dup(number) for number in (_STDOUT, _STDERR)}
        for number in saved:
            os.dup2(file.fileno(), number)
        try:
            yield said
        finally:
            _flush()
            for number, copy in saved.items():
                os.dup2(copy, number)
                os.close(copy)
            said.append(_text(file))


def _flush() -> None:
    """Let the C library write what it holds back, while it still goes where it should."""
    if sys.platform != "win32":
        ctypes.CDLL(None).fflush(None)


def _close(model: Any) -> None:
    with _captured_output():  # it says good-bye
        model.close()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _acceleration(path: Path, said: str, is_complete: bool) -> Acceleration:
    adapter, left = parse_log(said)
    if not is_complete and not left:
        left = ("some operators, which LiteRT does not name",)
    return Acceleration(
        adapter=adapter,
        is_software=_SOFTWARE in said,
        total_ops=len(read(path).operators),
        left=() if is_complete else left,
    )


def parse_log(said: str) -> tuple[str, tuple[str, ...]]:
    """The adapter's name, and the operators left to the processor with the reason of each."""
    adapter = _ADAPTER.search(said)
    listed = _LEFT.search(said)
    left = tuple(listed["lines"].split("\n")[:-1]) if listed else ()
    return adapter["name"] if adapter else "", left


def _port(name: str, detail: Mapping[str, Any]) -> Port:
    return Port(name, tuple(int(size) for size in detail["shape"]), np.dtype(detail["dtype"]).name)


def _answer(buffer: Any, port: Port) -> Array:
    elements = int(np.prod(port.shape))
    return np.asarray(buffer.read(elements, np.dtype(port.dtype).type)).reshape(port.shape)
