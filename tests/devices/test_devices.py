"""Devices by name, commands before commands, and the contract that all of them keep."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from edgekit.devices import KINDS, Device, open_device
from edgekit.devices.base import content_key
from edgekit.devices.command import CommandDevice
from edgekit.devices.process import Ended, complete, stream
from edgekit.errors import DeviceError, DeviceLostError, InputError, UnknownNameError
from edgekit.measure.session import Protocol, check, measure

QUICK = Protocol(num_runs=20, warmup_runs=2)
posix = pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")


@pytest.fixture(params=["local", pytest.param("cmd:env", marks=posix), "fake:one"])
def device(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return open_device(request.param)


def test_what_is_pushed_can_be_pulled(device: Device, tmp_path: Path) -> None:
    files = [tmp_path / "net.xml", tmp_path / "net.bin"]
    for index, path in enumerate(files):
        path.write_bytes(bytes([index, 10, 13, 0]) * 1000)
    there = device.push(files)
    assert [device.pull(name) for name in there] == [path.read_bytes() for path in files]
    assert {Path(name).parent for name in there} == {Path(there[0]).parent}
    assert device.push(files) == there


def test_a_file_that_is_missing_there_is_an_error(device: Device) -> None:
    with pytest.raises(DeviceError):
        device.pull("/nowhere/at/all")


def test_a_file_that_is_missing_here_is_an_input_error(device: Device, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*none\.onnx"):
        device.push([tmp_path / "none.onnx"])


def test_it_measures_several_files_and_says_what_it_is(device: Device, model: Path) -> None:
    found = measure(device, [model, model], QUICK)
    assert [len(one.samples_ms) for one in found] == [20, 20]
    assert {one.runtime for one in found} == {"onnx"}
    assert check(device)["machine"]["cores"]


@posix
def test_a_disk_that_is_full_is_said(tmp_path: Path) -> None:
    device = CommandDevice("cmd:env", ["env", "XDG_CACHE_HOME=/dev/full"])
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(DeviceError, match=r"cannot look at it: .*dev/full"):
        device.push([tmp_path / "a"])


@posix
@pytest.mark.parametrize(
    ("said", "code", "message", "hint"),
    [
        ("cat: write error: No space left on device", 1, "No space left", "make space"),
        ("", -9, "memory runs out", ""),
        ("cat: x: No such file or directory", 1, "exit code 1", ""),
    ],
)
def test_what_fails_there_is_told_with_what_to_do(said: str, code: int, message: str, hint: str) -> None:
    found = CommandDevice("cmd:env", ["env"]).failure(Ended(code, said), "receive files")
    assert message in str(found)
    assert hint in found.hint


@posix
def test_a_python_of_another_processor_is_told(model: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "python3"
    foreign.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xf7\x00" + bytes(200))
    foreign.chmod(0o755)
    device = open_device("cmd:env")
    assert isinstance(device, CommandDevice)
    device._python = str(foreign)
    with pytest.raises(DeviceError, match=r"cannot run .*/python3") as caught:
        measure(device, [model], QUICK)
    assert "another processor" in caught.value.hint


@posix
def test_a_command_that_there_is_not_is_named(model: Path) -> None:
    with pytest.raises(DeviceError, match="cannot start no-such-command"):
        measure(open_device("cmd:no-such-command -x"), [model], QUICK)


@posix
def test_what_a_login_script_prints_is_told_from_an_answer(model: Path, tmp_path: Path) -> None:
    noisy = tmp_path / "noisy"
    noisy.write_text('#!/bin/sh\ncase "$*" in *--num-threads*) echo Welcome;; esac\nexec "$@"\n')
    noisy.chmod(0o755)
    with pytest.raises(DeviceError, match="answered 'Welcome'"):
        measure(open_device(f"cmd:{noisy}"), [model], QUICK)


def test_a_command_that_takes_too_long_is_killed() -> None:
    command = [sys.executable, "-c", "import time; print('on', flush=True); time.sleep(60)"]
    started = time.monotonic()
    with pytest.raises(DeviceError, match="did not finish within"):
        list(open_device("local").run(command, timeout_s=0.5))
    assert time.monotonic() - started < 30


def test_a_command_that_is_not_read_to_its_end_does_not_go_on() -> None:
    lines = stream([sys.executable, "-c", "while True: print('on', flush=True)"], timeout_s=60)
    assert next(lines) == "on"
    lines.close()


def test_a_call_that_hangs_ends() -> None:
    assert complete([sys.executable, "-c", "import time; time.sleep(60)"], timeout_s=0.3).is_timeout


@pytest.mark.parametrize("name", ["board", "shh://pi@board", ""])
def test_a_kind_that_there_is_not_offers_those_there_are(name: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown kind of device"):
        open_device(name)


@pytest.mark.parametrize("name", ["cmd:", "cmd:a 'b", "fake:x?cut=often", "fake:x?colour=1"])
def test_another_form_is_refused(name: str) -> None:
    with pytest.raises(InputError):
        open_device(name)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_documented_as_it_is_written(kind: str) -> None:
    assert KINDS[kind].form.startswith(kind)
    assert KINDS[kind].summary


def test_the_key_changes_with_content_and_names(tmp_path: Path) -> None:
    one, other = tmp_path / "a", tmp_path / "b"
    one.write_bytes(b"x")
    other.write_bytes(b"x")
    keys = {content_key(files) for files in ([one], [other], [one, other], [other, one])}
    assert len(keys) == 4


def test_a_fake_is_cut_as_often_as_it_is_told(model: Path) -> None:
    device = open_device("fake:x?ms=3&noise=0&cut=2")
    (found,) = measure(device, [model], QUICK)
    assert found.samples_ms == pytest.approx([3.0] * 20)
    with pytest.raises(DeviceLostError):
        measure(device, [model], QUICK)
