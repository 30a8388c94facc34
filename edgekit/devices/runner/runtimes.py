"""The runtimes that a device may have, each by what loads a file and runs it once."""

from __future__ import annotations

import importlib
import os
import platform
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Any

from edgekit.devices.runner.failure import FailureError

__all__ = [
    "PACKAGES",
    "RUNTIMES",
    "Invoke",
    "Runtime",
    "example",
    "import_first",
    "onnx_dtype",
    "version_of",
]

Invoke = Callable[[], Any]  # a float is its milliseconds, where the runtime tells them itself
Runtime = tuple[str, Any, Callable[[str], Invoke]]  # its name, version, and what loads a file


def _tflite(num_threads: int) -> Runtime:
    module, package = import_first(
        ("ai_edge_litert.interpreter", "ai-edge-litert"), ("tflite_runtime.interpreter", "tflite-runtime")
    )

    def load(path: str) -> Invoke:
        interpreter = module.Interpreter(model_path=path, num_threads=num_threads)
        interpreter.allocate_tensors()
        for detail in interpreter.get_input_details():
            interpreter.set_tensor(detail["index"], example(detail["shape"], detail["dtype"]))
        invoke: Invoke = interpreter.invoke
        return invoke

    return "tflite", version_of(package), load


def _onnx(num_threads: int) -> Runtime:
    module, _ = import_first(("onnxruntime", "onnxruntime"))

    def load(path: str) -> Invoke:
        options = module.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = num_threads
        options.inter_op_num_threads = 1
        session = module.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        feeds = {port.name: example(port.shape, onnx_dtype(port.type)) for port in session.get_inputs()}
        return lambda: session.run(None, feeds)

    return "onnx", module.__version__, load


def _openvino(num_threads: int) -> Runtime:
    os.environ["CI"] = "true"  # keeps the package from reporting its use to its makers
    module, _ = import_first(("openvino", "openvino"))

    def load(path: str) -> Invoke:
        # f32: what is not in integers would be computed in bfloat16 where the processor has AMX.
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": num_threads, "NUM_STREAMS": 1}
        compiled = module.Core().compile_model(path, "CPU", settings)
        request = compiled.create_infer_request()
        for index, port in enumerate(compiled.inputs):
            shape = [dim.get_length() if dim.is_static else 1 for dim in port.get_partial_shape()]
            request.set_input_tensor(index, module.Tensor(example(shape, port.get_element_type().to_dtype())))

        def invoke() -> float:
            request.infer(share_outputs=True)
            # The runtime's own figure, as its benchmark_app shows: Python's part of the call is 0.1 ms.
            return float(request.latency)

        return invoke

    return "openvino", module.__version__.split("-")[0], load


RUNTIMES: dict[str, Callable[[int], Runtime]] = {".tflite": _tflite, ".onnx": _onnx, ".xml": _openvino}
PACKAGES = ("ai-edge-litert", "tflite-runtime", "onnxruntime", "openvino", "numpy")


def onnx_dtype(name: str) -> str:
    """numpy's name of ``tensor(float)``."""
    inner = name[len("tensor(") : -1]
    return {"float": "float32", "double": "float64"}.get(inner, inner)


def import_first(*names: tuple[str, str]) -> tuple[Any, str]:
    """The first of these modules that is installed, with its package."""
    for module, package in names:
        try:
            return importlib.import_module(module), package
        except ImportError as exc:
            reason = exc
    packages = " or ".join(package for _, package in names)
    raise FailureError(
        "missing_runtime",
        f"Python {platform.python_version()} at {sys.executable} has no {packages} ({reason})",
    )


def version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def example(shape: Any, dtype: Any) -> Any:
    """Seeded noise of the shape; a dimension that is not fixed is 1."""
    import numpy

    sizes = [int(size) if str(size).lstrip("-").isdigit() and int(size) > 0 else 1 for size in shape]
    generator = numpy.random.default_rng(0)
    if numpy.issubdtype(numpy.dtype(dtype), numpy.integer):
        limits = numpy.iinfo(dtype)
        return generator.integers(limits.min, limits.max, sizes, dtype=dtype, endpoint=True)
    return generator.standard_normal(sizes).astype(dtype)
