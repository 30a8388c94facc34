"""Preparing the emulated 64-bit Arm device: Debian's Python, the runtimes' wheels, and qemu, in one folder.

Nothing of the system is changed and no rights are needed: apt works on a state of its own, packages are
unpacked, not installed. The folder appears whole or not at all.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

from edgekit.devices.emulated import QEMU_IN_PACKAGE, find_qemu, root_folder
from edgekit.errors import DeviceError

__all__ = ["Plan", "Step", "plan", "setup"]

Progress: TypeAlias = Callable[[str, int, int], None]

_SUITE = "bookworm"
_PYTHON = "3.11"  # the suite's
_GLIBC = 36  # minor version of the suite's, which limits the wheels it can load
_MIRROR_VARIABLE = "EDGEKIT_DEBIAN_MIRROR"
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_ROOT_PACKAGES = ("python3", "libstdc++6")
_QEMU_PACKAGE = f"qemu-user/{_SUITE}-backports"
_WHEELS = ("ai-edge-litert", "onnxruntime", "numpy")
_OPTIONAL_WHEELS = ("openvino",)
_STAMP = "ready.json"
_ARCHITECTURES = {"x86_64": "amd64", "AMD64": "amd64", "i686": "i386", "ppc64le": "ppc64el"}
_TOOLS = {"apt-get": "apt", "dpkg-deb": "dpkg"}
_TIMEOUT_S = 900


@dataclass(frozen=True)
class Step:
    """One thing that setting up does, as a sentence."""

    summary: str
    run: Callable[[Path], None]


@dataclass(frozen=True)
class Plan:
    """What :func:`setup` does, and where; nothing when it was done before and would be the same again."""

    folder: Path
    steps: tuple[Step, ...]
    content: dict[str, list[str]]


def plan() -> Plan:
    """What is left to do. Raises DeviceError for a system where it cannot be done, saying why."""
    folder = root_folder()
    needs_qemu = find_qemu() is None or (folder / "qemu").exists()
    wheels = _wheels()
    content = {"root": list(_ROOT_PACKAGES), "wheels": wheels, "qemu": [_QEMU_PACKAGE] if needs_qemu else []}
    if _stamp(folder) == content:
        return Plan(folder, (), content)
    _check_system()
    root = f"{', '.join(_ROOT_PACKAGES)} and what they need"
    steps = [
        Step(f"read the package lists of Debian {_SUITE} for arm64, with apt's own signatures", _update),
        Step(f"download {root} for arm64, about 16 MB, and unpack them", _unpack_root),
        Step(f"download {', '.join(wheels)} for aarch64 by pip, about 60 MB", _install_wheels),
    ]
    if needs_qemu:
        steps.insert(2, Step("download qemu 10 from backports, about 60 MB, and unpack it", _unpack_qemu))
    return Plan(folder, tuple(steps), content)


def setup(todo: Plan, progress: Progress | None = None) -> None:
    """Carry out a plan. Raises DeviceError, with what a tool said, when a step fails."""
    if not todo.steps:
        return
    todo.folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="arm64-", dir=todo.folder.parent) as name:
        staging = Path(name)
        for done, step in enumerate(todo.steps):
            if progress:
                progress("set up", done, len(todo.steps))
            step.run(staging)
        shutil.rmtree(staging / "apt")
        (staging / _STAMP).write_text(json.dumps(todo.content), encoding="utf-8")
        _replace(staging, todo.folder)
    if progress:
        progress("set up", len(todo.steps), len(todo.steps))


def _replace(staging: Path, folder: Path) -> None:
    """Give the new folder its name, after taking the old one away, in the same file system."""
    whole = staging / "whole"
    whole.mkdir()
    for path in [path for path in staging.iterdir() if path != whole]:
        path.rename(whole / path.name)
    if folder.exists():
        folder.rename(staging / "old")
    whole.rename(folder)


def _stamp(folder: Path) -> object:
    try:
        return json.loads((folder / _STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _wheels() -> list[str]:
    """The versions that this machine has, so that only the processor differs."""
    found = [f"{name}=={version(name)}" for name in _WHEELS]
    for name in _OPTIONAL_WHEELS:
        try:
            found.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            continue
    return found


def _check_system() -> None:
    missing = [package for tool, package in _TOOLS.items() if shutil.which(tool) is None]
    if sys.platform != "linux" or missing:
        raise DeviceError(
            f"the emulated device needs apt-get and dpkg-deb, which {sys.platform} here has not",
            hint="use Debian or Ubuntu, or a container of arm64: --device 'cmd:docker exec -i NAME'",
        )
    if not _KEYRING.is_file():
        raise DeviceError(f"Debian's keys are not in {_KEYRING}", hint="install debian-archive-keyring")


def _update(staging: Path) -> None:
    apt = staging / "apt"
    for folder in ("state/lists/partial", "cache/archives/partial", "etc"):
        (apt / folder).mkdir(parents=True)
    (apt / "status").touch()
    signed, mirror = f"signed-by={_KEYRING}", _mirror()
    (apt / "etc" / "sources.list").write_text(
        f"deb [{signed} arch=arm64] {mirror} {_SUITE} main\n"
        f"deb [{signed} arch={_own_architecture()}] {mirror} {_SUITE}-backports main\n",
        encoding="utf-8",
    )
    _apt(staging, "update")


def _mirror() -> str:
    """The address of Debian's packages: as the user says, else where this machine's own come from."""
    given = os.environ.get(_MIRROR_VARIABLE)
    if given:
        return given
    listed = ["apt-get", "indextargets", "--format", "$(REPO_URI)", f"Codename: {_SUITE}"]
    known = _call(listed, "ask apt for its mirror").decode().split()
    if not known:
        raise DeviceError(
            f"this system has no packages of Debian {_SUITE}",
            hint=f"set {_MIRROR_VARIABLE} to the address of a Debian mirror",
        )
    return known[0]


def _unpack_root(staging: Path) -> None:
    _apt(staging, "install", "--download-only", "--yes", *_ROOT_PACKAGES)
    for package in sorted((staging / "apt" / "cache" / "archives").glob("*.deb")):
        _unpack(package, staging / "root")


def _unpack_qemu(staging: Path) -> None:
    name, _, suite = _QEMU_PACKAGE.partition("/")
    _apt(staging, "download", f"{name}:{_own_architecture()}/{suite}", folder=staging / "apt")
    (package,) = (staging / "apt").glob("*.deb")
    content = _call(["dpkg-deb", "--fsys-tarfile", str(package)], f"unpack {package.name}")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:  # one program out of forty
        member = archive.extractfile(f"./{QEMU_IN_PACKAGE}")
        assert member is not None
        program = staging / "qemu" / QEMU_IN_PACKAGE
        program.parent.mkdir(parents=True)
        program.write_bytes(member.read())
        program.chmod(0o755)


def _install_wheels(staging: Path) -> None:
    platforms = [f"--platform=manylinux_2_{minor}_aarch64" for minor in range(_GLIBC, 16, -1)]
    compiles = () if sys.version_info[:2] == tuple(map(int, _PYTHON.split("."))) else ("--no-compile",)
    _call(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *(f"--target={staging / 'packages'}", f"--python-version={_PYTHON}", "--only-binary=:all:"),
            *(*platforms, "--platform=manylinux2014_aarch64", *compiles, *_wheels()),
        ],
        "install the runtimes' wheels",
    )


def _unpack(package: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    _call(["dpkg-deb", "--extract", str(package), str(folder)], f"unpack {package.name}")


def _apt(staging: Path, *arguments: str, folder: Path | None = None) -> None:
    apt = staging / "apt"
    settings = {
        "Dir::State": apt / "state",
        "Dir::State::status": apt / "status",
        "Dir::Cache": apt / "cache",
        "Dir::Etc::sourcelist": apt / "etc" / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "APT::Architecture": "arm64",
        "APT::Architectures": f"arm64,{_own_architecture()}",
        "APT::Install-Recommends": "false",
        "APT::Sandbox::User": "",
        "Acquire::Languages": "none",
        "APT::Update::Error-Mode": "any",
        "Acquire::Retries": "3",
    }
    options = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
    _call(["apt-get", "-qq", *options, *arguments], f"{arguments[0]} packages by apt-get", folder)


def _own_architecture() -> str:
    machine = os.uname().machine
    return _ARCHITECTURES.get(machine, machine)


def _call(command: Sequence[str], doing: str, folder: Path | None = None) -> bytes:
    """What the command wrote to stdout. Raises DeviceError with the end of its stderr when it failed."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as exc:
        raise DeviceError(f"cannot {doing}: no end after {_TIMEOUT_S} s") from exc
    if done.returncode:
        said = done.stderr.decode(errors="replace").splitlines()
        lines = [line for line in said if line.strip() and not line.startswith("W")]
        raise DeviceError(
            f"cannot {doing}: {' '.join(lines[-2:]) or f'exit code {done.returncode}'}",
            hint="is the network there? What is there already was left as it was",
        )
    return done.stdout
