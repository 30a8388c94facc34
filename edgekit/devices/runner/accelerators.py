"""What loads a file on an accelerator instead of the processor's cores, and runs it once.

Its inputs are those of :func:`~edgekit.devices.runner.answers.fixed`, and what runs it gives the outputs, so
that they can be held against the processor's.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from edgekit.devices.runner.answers import fixed
from edgekit.devices.runner.failure import FailureError
from edgekit.devices.runner.runtimes import Invoke, Runtime, import_first, onnx_dtype, version_of

__all__ = ["ACCELERATORS", "accelerated"]


def accelerated(path: str, name: str) -> Callable[[int], Runtime]:
    """Who loads the file on the accelerator of that name. Raises FailureError."""
    if name not in ACCELERATORS:
        raise FailureError("usage", f"no accelerator {name!r}, there are {', '.join(ACCELERATORS)}")
    suffix, load = ACCELERATORS[name]
    if Path(path).suffix.lower() != suffix or not Path(path).is_file():
        raise FailureError("artifact", f"{path} is not a file that ends in {suffix}, which {name} runs")
    return load


def _litert_gpu(num_threads: int) -> Runtime:
    module, package = import_first(("ai_edge_litert.compiled_model", "ai-edge-litert"))
    kinds, _ = import_first(("ai_edge_litert.hardware_accelerator", "ai-edge-litert"))

    def load(path: str) -> Invoke:
        try:
            model = module.CompiledModel.from_file(path, hardware_accel=kinds.HardwareAccelerator.GPU)
        except RuntimeError as exc:
            raise FailureError("accelerator", f"{Path(path).name} {_why()}") from exc
        if not model.is_fully_accelerated():
            raise FailureError("accelerator", f"{Path(path).name} {_why()}")
        signature, names = next(iter(model.get_signature_list().items()))
        inputs, outputs = model.create_input_buffers(0), model.create_output_buffers(0)
        details = model.get_input_tensor_details(signature)
        for buffer, port in zip(inputs, names["inputs"]):  # noqa: B905 Python 3.9 has no strict
            buffer.write(fixed(details[port]["shape"], details[port]["dtype"]))
        details = model.get_output_tensor_details(signature)
        sizes = [_elements(details[port]["shape"]) for port in names["outputs"]]
        types = [_numpy_type(details[port]["dtype"]) for port in names["outputs"]]

        def invoke() -> list[Any]:
            model.run_by_index(0, inputs, outputs)
            ports = zip(names["outputs"], outputs, sizes, types)  # noqa: B905 Python 3.9 has no strict
            # Reading waits for the end.
            found = {name: buffer.read(size, dtype) for name, buffer, size, dtype in ports}
            return [found[name] for name in sorted(found)]

        return invoke

    return "tflite", version_of(package), load


def _why() -> str:
    """What LiteRT wrote to stderr, which is a file here, about what it does not accelerate."""
    try:
        said = os.pread(2, 1 << 20, 0).decode(errors="replace")
    except (OSError, AttributeError):  # stderr is no file, or the system has no pread
        said = ""
    listed = re.search(r"not supported by GPU delegate:\n((?:[A-Z0-9_]+: [^\n]*\n)+)", said)
    if listed:
        operators = "; ".join(listed[1].split("\n")[:-1])
        return f"has operators that LiteRT's accelerator does not take: {operators}"
    return "cannot run: looked for a graphics processor by LiteRT (WebGPU: Vulkan, Metal, D3D12)"


def _onnx(provider: str, num_threads: int) -> Runtime:
    module, _ = import_first(("onnxruntime", "onnxruntime"))

    def load(path: str) -> Invoke:
        _require(provider, module.get_available_providers(), "ONNX Runtime's providers")
        options = module.SessionOptions()
        options.log_severity_level = 4
        session = module.InferenceSession(path, options, providers=[provider, "CPUExecutionProvider"])
        feeds = {port.name: fixed(port.shape, onnx_dtype(port.type)) for port in session.get_inputs()}
        return lambda: session.run(None, feeds)

    return "onnx", module.__version__, load


def _openvino_gpu(num_threads: int) -> Runtime:
    module, _ = import_first(("openvino", "openvino"))

    def load(path: str) -> Invoke:
        _require("GPU", module.Core().available_devices, "OpenVINO's devices")
        compiled = module.Core().compile_model(path, "GPU", {"NUM_STREAMS": 1})
        request = compiled.create_infer_request()
        for index, port in enumerate(compiled.inputs):
            shape = [dim.get_length() if dim.is_static else 1 for dim in port.get_partial_shape()]
            request.set_input_tensor(index, module.Tensor(fixed(shape, port.get_element_type().to_dtype())))
        return lambda: list(request.infer(share_outputs=True).values())

    return "openvino", module.__version__.split("-")[0], load


ACCELERATORS: dict[str, tuple[str, Callable[[int], Runtime]]] = {
    "litert-gpu": (".tflite", _litert_gpu),
    "onnx-cuda": (".onnx", partial(_onnx, "CUDAExecutionProvider")),
    "onnx-webgpu": (".onnx", partial(_onnx, "WebGpuExecutionProvider")),
    "openvino-gpu": (".xml", _openvino_gpu),
}


def _require(wanted: str, found: Any, where: str) -> None:
    if not any(name.startswith(wanted) for name in found):
        raise FailureError("accelerator", f"looked for {wanted} among {where}: {', '.join(found)}")


def _elements(shape: Any) -> int:
    size = 1
    for extent in shape:
        size *= int(extent)
    return size


def _numpy_type(dtype: Any) -> Any:
    import numpy

    return numpy.dtype(dtype).type
