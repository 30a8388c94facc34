"""The doctor knows the extras of the package and the processors that matter to int8."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edgekit import doctor
from edgekit.cpu import cpu_features, saturates_int8
from edgekit.doctor import PACKAGES, examine


def normalized(requirement: str) -> str:
    """The distribution's name alone, spelled as package indexes do."""
    return re.split(r"[<>=;! \[]", requirement)[0].replace("_", "-").lower()


def test_packages_are_those_of_the_project_file(checkout: Path) -> None:
    project = msgspec.toml.decode((checkout / "pyproject.toml").read_bytes())["project"]
    extras = {name: needs for name, needs in project["optional-dependencies"].items() if name != "dev"}
    # tomli is in the standard library from Python 3.11 on.
    declared = {"": [need for need in project["dependencies"] if "python_version" not in need], **extras}
    assert {extra: sorted(map(normalized, names)) for extra, names in PACKAGES.items()} == {
        extra: sorted(map(normalized, needs)) for extra, needs in declared.items()
    }


def test_versions_are_those_installed() -> None:
    versions = {package.name: package.version for package in examine().packages}
    assert versions["numpy"] == metadata.version("numpy")


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version

    def without_openvino(name: str) -> str:
        if name in {"openvino", "safetensors"}:
            raise metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(metadata, "version", without_openvino)
    warnings = examine().warnings
    for package, extra in (("openvino", "openvino"), ("safetensors", "weights")):
        assert [text for text in warnings if package in text and f"pip install 'edgekit[{extra}]'" in text]


X86 = "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu sse2 avx2 {}\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd {}\n"


@pytest.mark.parametrize(
    ("cpuinfo", "features"),
    [
        (X86.format("avx512f avx512_vnni"), ("AVX2", "AVX-512", "AVX-512 VNNI")),
        (X86.format("avx_vnni"), ("AVX2", "AVX-VNNI")),
        (X86.format("avx512f avx512_vnni amx_int8"), ("AVX2", "AVX-512", "AVX-512 VNNI", "AMX int8")),
        (X86.format(""), ("AVX2",)),
        (ARM.format("asimddp"), ("NEON", "NEON dot product")),
        (ARM.format("asimddp i8mm sve"), ("NEON", "NEON dot product", "int8 matrix multiply", "SVE")),
        (ARM.format(""), ("NEON",)),
        ("processor : 0\n", ()),
    ],
)
def test_features_are_read_from_cpuinfo(cpuinfo: str, features: tuple[str, ...]) -> None:
    assert cpu_features(cpuinfo) == features


PROCESSORS = [
    (X86.format("avx512f"), "no VNNI"),
    (X86.format("avx_vnni"), ""),
    (ARM.format(""), "no NEON dot product"),
    (ARM.format("asimddp"), ""),
]


@pytest.mark.parametrize(("cpuinfo", "warning"), PROCESSORS)
def test_only_x86_without_vnni_saturates(cpuinfo: str, warning: str) -> None:
    assert saturates_int8(cpu_features(cpuinfo)) == (warning == "no VNNI")
    assert not saturates_int8(None)


@pytest.mark.parametrize(("cpuinfo", "warning"), PROCESSORS)
def test_a_processor_without_int8_instructions_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, cpuinfo: str, warning: str
) -> None:
    real = Path.read_text

    def read_text(path: Path, *arguments: Any, **keywords: Any) -> str:
        return cpuinfo if path.as_posix() == "/proc/cpuinfo" else real(path, *arguments, **keywords)

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(doctor, "PACKAGES", {})
    warnings = examine().warnings
    assert [warning in text for text in warnings] == ([True] if warning else [])


def test_a_system_without_cpuinfo(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_text(path: Path, *arguments: Any, **keywords: Any) -> str:
        raise FileNotFoundError(path)

    monkeypatch.setattr(doctor, "PACKAGES", {})
    monkeypatch.setattr(Path, "read_text", read_text)
    diagnosis = examine()
    assert diagnosis.cpu.features is None
    assert diagnosis.warnings == ()
    assert diagnosis.cpu.cores >= diagnosis.cpu.usable_cores >= 1
