"""What every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

CHECKOUT = Path(__file__).resolve().parent.parent

# Before any test imports a runtime: several small networks on all cores are slower than on one, and
# results do not depend on how many cores the machine has.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes says how busy the machine is, not whether the code is right.
settings.register_profile("edgekit", deadline=None)
settings.load_profile("edgekit")


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The folder of the source checkout."""
    return CHECKOUT


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder of photographs and published tables beside the checkout, which the project does not ship."""
    path = CHECKOUT.parent / "shared"
    if not path.is_dir():
        pytest.skip(f"needs the photographs and published tables in {path}")
    return path


@pytest.fixture(scope="session")
def tflite_support_python() -> Path:
    """The interpreter of the environment that ``.ci/run`` prepares for TFLite Support."""
    folder = CHECKOUT / ".venv-tflite-support"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        reason = f"needs TFLite Support in {folder}, which .ci/run prepares"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return python


def _skip_or_fail(what: str, folder: Path) -> None:
    """Skip with the reason why ``.ci/run`` could not prepare ``what``; where it did not try, fail in CI."""
    unavailable = folder / "unavailable"
    if unavailable.is_file():
        pytest.skip(f"{what} is not available: {unavailable.read_text(encoding='utf-8').strip()[-300:]}")
    reason = f"needs {what}, which .ci/run prepares"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def emulated_arm64(_own_folders: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of the emulated device that ``.ci/run`` prepares, with the cache that it lies in."""
    folder = CHECKOUT / ".venv-arm64"
    if not (folder / "arm64" / "ready.json").is_file():
        _skip_or_fail("the emulated arm64 device", folder)
    monkeypatch.setenv("EDGEKIT_CACHE", str(folder))
    return "emulated-arm64"


@pytest.fixture
def gpu() -> None:
    """A graphics processor for LiteRT, real or Mesa's in software, which ``.ci/run`` installs."""
    from edgekit.runtimes.accelerators import find

    if not find("litert-gpu").found:
        _skip_or_fail("software Vulkan", CHECKOUT / ".venv-vulkan")


@pytest.fixture(autouse=True)
def _own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the configuration and the cache of the person who runs it."""
    monkeypatch.setenv("EDGEKIT_CONFIG", str(tmp_path_factory.getbasetemp() / "config"))
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
