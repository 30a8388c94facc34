"""The emulated device before and while it is set up; what it answers is tested with answers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edgekit.cli.main import main
from edgekit.devices import arm64_setup, emulated, open_device
from edgekit.devices.arm64_setup import Plan, Step
from edgekit.errors import DeviceError, InputError


def test_it_is_emulated_and_shares_no_place_with_this_machine() -> None:
    device, local = open_device("emulated-arm64"), open_device("local")
    assert (device.emulated, local.emulated) == (True, False)
    assert device.place != local.place


@pytest.mark.parametrize("name", ["emulated-arm64?cpu=", "emulated-arm64?core=a72", "emulated-arm64:a72"])
def test_a_name_of_another_form(name: str) -> None:
    with pytest.raises(InputError, match=r"expected emulated-arm64\[\?cpu=NAME\]"):
        open_device(name)


def test_without_a_root_the_error_says_how_to_prepare_it() -> None:
    with pytest.raises(DeviceError, match="not set up") as caught:
        _ = open_device("emulated-arm64").python
    assert "edgekit devices setup arm64" in caught.value.hint


def test_without_qemu_too(monkeypatch: pytest.MonkeyPatch) -> None:
    program = emulated.root_folder() / "root" / "usr" / "bin" / "python3.11"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.touch()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DeviceError, match="needs qemu 8 or newer"):
        _ = open_device("emulated-arm64").python
    program.unlink()


def test_an_old_qemu_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "qemu-aarch64"
    program.write_text("#!/bin/sh\necho 'qemu-aarch64 version 7.2.19 (Debian)'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert emulated.find_qemu() is None
    program.write_text("#!/bin/sh\necho 'qemu-aarch64 version 10.0.2'\n")
    assert emulated.find_qemu() == program


def step(summary: str, *, fails: bool = False) -> Step:
    def run(staging: Path) -> None:
        (staging / "apt").mkdir(exist_ok=True)
        if fails:
            raise DeviceError(f"cannot {summary}")
        (staging / summary).write_text(summary)

    return Step(summary, run)


def test_setting_up_replaces_the_folder_whole(tmp_path: Path) -> None:
    folder = tmp_path / "arm64"
    for content in ("first", "second"):
        arm64_setup.setup(Plan(folder, (step(content),), {"root": [content]}))
    assert {path.name for path in folder.iterdir()} == {"second", "ready.json"}
    assert json.loads((folder / "ready.json").read_text()) == {"root": ["second"]}
    assert [path.name for path in tmp_path.iterdir()] == ["arm64"]


def test_a_step_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    folder = tmp_path / "arm64"
    arm64_setup.setup(Plan(folder, (step("first"),), {}))
    with pytest.raises(DeviceError, match="cannot second"):
        arm64_setup.setup(Plan(folder, (step("other"), step("second", fails=True)), {}))
    assert {path.name for path in folder.iterdir()} == {"first", "ready.json"}
    assert [path.name for path in tmp_path.iterdir()] == ["arm64"]


def test_a_dry_run_says_what_it_would_do_and_does_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(
        arm64_setup, "plan", lambda: Plan(tmp_path / "arm64", (step("unpack", fails=True),), {})
    )
    assert main(["devices", "setup", "arm64", "--dry-run"]) == 0
    assert "1. unpack" in capsys.readouterr().out
    assert not (tmp_path / "arm64").exists()
    assert main(["devices", "setup", "arm64"]) == 2


def test_what_is_prepared_needs_nothing_more(emulated_arm64: str) -> None:
    assert arm64_setup.plan().steps == ()


def test_only_arm64_can_be_set_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", "setup", "riscv64"]) == 2
    assert "unknown device to set up 'riscv64'" in capsys.readouterr().err


@pytest.mark.parametrize("tool", arm64_setup._TOOLS)
def test_a_system_without_debians_tools_is_told_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tool: str
) -> None:
    have = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name: None if name == tool else have(name))
    with pytest.raises(DeviceError, match="apt-get and dpkg-deb") as caught:
        arm64_setup.plan()
    assert "container" in caught.value.hint
