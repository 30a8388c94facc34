"""Which accelerators this machine has, and where that was looked for."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

from edgekit.errors import MissingExtraError, UnknownNameError
from edgekit.runtimes import vulkan

__all__ = ["ACCELERATORS", "Availability", "find"]


@dataclass(frozen=True)
class Availability:
    """``found`` names what is there, or is empty; ``looked_for`` is where it was looked for, a phrase."""

    accelerator: str
    found: str
    looked_for: str
    is_software: bool = False


def find(accelerator: str) -> Availability:
    """Whether this machine has that accelerator. Raises UnknownNameError for one that there is not."""
    if accelerator not in ACCELERATORS:
        raise UnknownNameError("accelerator", accelerator, ACCELERATORS)
    return ACCELERATORS[accelerator](accelerator)


def _litert_gpu(accelerator: str) -> Availability:
    if sys.platform == "darwin":
        return Availability(accelerator, "Metal", "Metal, which every Mac has")
    loader = vulkan.LIBRARIES.get(sys.platform, ("a loader",))[0]
    found = vulkan.devices()
    if found is None:
        return Availability(accelerator, "", f"Vulkan's {loader}, which is not installed")
    if not found:
        return Availability(accelerator, "", f"devices of Vulkan, of which {loader} knows none")
    first = min(found, key=lambda device: device.is_software)
    name = f"{first.name}{' (software, on the processor)' if first.is_software else ''}"
    return Availability(accelerator, name, f"devices of Vulkan by {loader}", first.is_software)


def _onnx(provider: str, package: str) -> Callable[[str], Availability]:
    def look(accelerator: str) -> Availability:
        from edgekit.runtimes.onnx import import_onnxruntime  # heavy, and not everybody's

        try:
            providers = import_onnxruntime().get_available_providers()
        except MissingExtraError:
            return Availability(accelerator, "", "the package onnxruntime, which is not installed")
        looked_for = f"ONNX Runtime's {provider} (of {package}) among {', '.join(providers)}"
        return Availability(accelerator, provider if provider in providers else "", looked_for)

    return look


def _openvino_gpu(accelerator: str) -> Availability:
    if importlib.util.find_spec("openvino") is None:
        return Availability(accelerator, "", "the package openvino, which is not installed")
    from edgekit.runtimes.openvino import available_devices  # heavy, and not everybody's

    devices = available_devices()
    found = next((name for name in devices if name.startswith("GPU")), "")
    return Availability(accelerator, found, f"GPU among OpenVINO's devices {', '.join(devices)}")


ACCELERATORS: dict[str, Callable[[str], Availability]] = {
    "litert-gpu": _litert_gpu,
    "onnx-cuda": _onnx("CUDAExecutionProvider", "onnxruntime-gpu"),
    "onnx-webgpu": _onnx("WebGpuExecutionProvider", "onnxruntime-webgpu"),
    "openvino-gpu": _openvino_gpu,
}
"""The accelerators of :data:`edgekit.target.Accelerator` → who looks for them."""


if __name__ == "__main__":
    sys.stdout.write(json.dumps([asdict(find(name)) for name in ACCELERATORS]) + "\n")
