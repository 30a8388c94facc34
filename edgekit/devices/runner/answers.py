"""What files answer to a fixed input, to be compared with what they answer elsewhere."""

from __future__ import annotations

import argparse
import base64
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgekit.devices.runner.failure import FailureError
from edgekit.devices.runner.runtimes import import_first, onnx_dtype, version_of

__all__ = ["answer", "deviation", "fixed", "outputs_of"]

_Answers = tuple[str, Any, list[Any]]  # the runtime's name, its version, and one array for each output


def answer(options: argparse.Namespace, emit: Callable[..., None]) -> None:
    """Run each of ``options.artifacts`` once, telling ``emit`` its outputs. Raises FailureError."""
    for index, path in enumerate(options.artifacts):
        started = time.perf_counter()
        runtime, version, outputs = _answers(path, options.num_threads)
        emit(
            event="answer",
            artifact=index,
            runtime=runtime,
            runtime_version=version,
            seconds=time.perf_counter() - started,
            outputs=[
                {
                    "dtype": array.dtype.name,
                    "shape": list(array.shape),
                    "data": base64.b64encode(array.tobytes()).decode(),
                }
                for array in outputs
            ],
        )
    emit(event="end")


def outputs_of(path: str, num_threads: int) -> list[Any]:
    """What the file answers to :func:`fixed` inputs on the processor. Raises FailureError."""
    return _answers(path, num_threads)[2]


def deviation(found: list[Any], expected: list[Any]) -> float:
    """How far answers are apart at most: the root mean square of what differs over that of ``expected``."""
    import numpy

    shares = []
    for one, other in zip(found, expected):  # noqa: B905 Python 3.9 has no strict
        own, right = (numpy.asarray(array, dtype=numpy.float64).ravel() for array in (one, other))
        if own.size != right.size:
            return float("inf")
        size = float(numpy.sqrt(numpy.mean(right**2))) or 1.0
        shares.append(float(numpy.sqrt(numpy.mean((own - right) ** 2))) / size)
    return max((share if share == share else float("inf") for share in shares), default=0.0)


def _answers(path: str, num_threads: int) -> _Answers:
    run = _RUNTIMES.get(Path(path).suffix.lower())
    if run is None or not Path(path).is_file():
        raise FailureError("artifact", f"{path} is not a file that ends in {', '.join(_RUNTIMES)}")
    try:
        return run(path, num_threads)
    except FailureError:
        raise
    except Exception as exc:  # whatever a runtime raises: who asked has to hear of it
        text = " ".join(f"{type(exc).__name__}: {exc}".split())
        raise FailureError("artifact", f"{Path(path).name}: {text}") from exc


def _tflite(path: str, num_threads: int) -> _Answers:
    module, package = import_first(
        ("ai_edge_litert.interpreter", "ai-edge-litert"), ("tflite_runtime.interpreter", "tflite-runtime")
    )
    interpreter = module.Interpreter(model_path=path, num_threads=num_threads)
    interpreter.allocate_tensors()
    for detail in interpreter.get_input_details():
        interpreter.set_tensor(detail["index"], fixed(detail["shape"], detail["dtype"]))
    interpreter.invoke()
    outputs = [interpreter.get_tensor(index) for _, index in sorted(_tflite_outputs(interpreter))]
    return "tflite", version_of(package), outputs


def _tflite_outputs(interpreter: Any) -> list[tuple[str, int]]:
    """Names and tensors of the outputs: by their names, since their order is not the same everywhere."""
    details = interpreter.get_output_details()
    signatures = interpreter.get_signature_list() if len(details) > 1 else {}
    if not signatures:
        return [(detail["name"], detail["index"]) for detail in details]
    named = interpreter.get_signature_runner(next(iter(signatures))).get_output_details()
    return [(name, detail["index"]) for name, detail in named.items()]


def _onnx(path: str, num_threads: int) -> _Answers:
    module, _ = import_first(("onnxruntime", "onnxruntime"))
    options = module.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = num_threads
    session = module.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    feeds = {port.name: fixed(port.shape, onnx_dtype(port.type)) for port in session.get_inputs()}
    return "onnx", module.__version__, session.run(None, feeds)


def _openvino(path: str, num_threads: int) -> _Answers:
    os.environ["CI"] = "true"  # keeps the package from reporting its use to its makers
    module, _ = import_first(("openvino", "openvino"))
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": num_threads}
    compiled = module.Core().compile_model(path, "CPU", settings)
    feeds = []
    for port in compiled.inputs:
        shape = [dim.get_length() if dim.is_static else 1 for dim in port.get_partial_shape()]
        feeds.append(fixed(shape, port.get_element_type().to_dtype()))
    found = compiled(feeds)
    return "openvino", module.__version__.split("-")[0], [found[port] for port in compiled.outputs]


_RUNTIMES: dict[str, Callable[[str, int], _Answers]] = {".tflite": _tflite, ".onnx": _onnx, ".xml": _openvino}


def fixed(shape: Any, dtype: Any) -> Any:
    """Seeded bytes, and eighths for floats: the same on every processor. A dimension that is free is 1."""
    import numpy

    sizes = [int(size) if str(size).lstrip("-").isdigit() and int(size) > 0 else 1 for size in shape]
    kind = numpy.dtype(dtype)
    if kind == numpy.uint8:
        return numpy.random.default_rng(0).integers(0, 256, sizes, dtype=kind)
    numbers = numpy.random.default_rng(0).integers(-128, 128, sizes)
    return (numbers / 64 if numpy.issubdtype(kind, numpy.floating) else numbers).astype(kind)
