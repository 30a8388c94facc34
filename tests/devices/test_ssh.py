"""Boards by ssh: the same figures as here, nothing sent twice, and what goes wrong said clearly."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import pytest

from boards import Board, CuttingProxy
from edgekit.devices import open_device
from edgekit.devices.process import Ended
from edgekit.devices.ssh import SshDevice
from edgekit.devices.ssh import open_ as open_ssh
from edgekit.errors import DeviceError, DeviceLostError, InputError, ModelFileError
from edgekit.measure import record
from edgekit.measure.session import Protocol, check, measure
from edgekit.sweep import run
from edgekit.sweep.run import sweep

QUICK = Protocol(num_runs=20, warmup_runs=2)


def test_a_board_measures_the_file_that_was_pushed(board: Board, model: Path) -> None:
    (found,) = measure(open_device(board.name()), [model], QUICK)
    assert found.runtime == "onnx"
    assert len(found.samples_ms) == 20
    assert min(found.samples_ms) > 0


def test_what_is_there_is_not_sent_again(board: Board, model: Path) -> None:
    device = open_device(board.name())
    (first,) = device.push([model])
    written = Path(first).stat().st_mtime_ns
    assert Path(first).read_bytes() == model.read_bytes()
    assert open_device(board.name()).push([model]) == [first]
    assert Path(first).stat().st_mtime_ns == written
    assert device.pull(first) == model.read_bytes()


def test_names_that_a_shell_would_read_arrive_as_they_are(board: Board, tmp_path: Path) -> None:
    path = tmp_path / "it's $HOME; a `name`.onnx"
    path.write_bytes(b"content")
    device = open_device(board.name())
    (there,) = device.push([path])
    assert device.pull(there) == b"content"


def test_a_check_says_what_the_board_is(board: Board) -> None:
    found = check(open_device(board.name()))
    assert found["packages"]["onnxruntime"]
    assert found["machine"]["cores"] >= 1


def test_another_host_key_is_refused(board: Board, proxy: CuttingProxy) -> None:
    lines = board.known_hosts.read_text()
    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
    try:
        board.known_hosts.write_text(f"[127.0.0.1]:{proxy.port} {other}\n")
        with pytest.raises(DeviceError, match="another host key") as caught:
            check(open_device(board.name(proxy.port)))
        assert "ssh -p" in caught.value.hint
        board.known_hosts.write_text("")
        with pytest.raises(DeviceError, match="none is known"):
            check(open_device(board.name(proxy.port)))
    finally:
        board.known_hosts.write_text(lines)


def test_a_port_where_nobody_listens_is_said_to_be_unreachable(board: Board) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(DeviceError, match=r"cannot be reached.*refused"):
        check(open_device(board.name(port)))


def test_a_python_that_is_not_there_is_named(board: Board) -> None:
    with pytest.raises(DeviceError, match="has no /nowhere/python"):
        check(open_device(board.name(python="/nowhere/python")))


def test_a_python_without_the_runtime_is_told_with_where_it_is(
    board: Board, model: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare-python"
    bare.write_text('#!/bin/sh\nexec /usr/bin/env python3 -S -I "$@"\n')
    bare.chmod(0o755)
    with pytest.raises(DeviceError, match="has no onnxruntime") as caught:
        measure(open_device(board.name(python=str(bare))), [model], QUICK)
    assert "?python=" in caught.value.hint


def test_a_file_that_is_no_model_is_refused_by_name(board: Board, tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ModelFileError, match=r"cannot run broken\.onnx"):
        measure(open_device(board.name()), [path], QUICK)


@pytest.mark.parametrize("cut", [300, 3_000, 9_000])
def test_a_cut_leaves_nothing_that_looks_whole(
    board: Board, proxy: CuttingProxy, model: Path, cut: int
) -> None:
    device = open_device(board.name(proxy.port))
    proxy.cuts = [cut]
    with pytest.raises(DeviceLostError, match="was cut"):
        device.push([model])
    (there,) = device.push([model])
    assert Path(there).read_bytes() == model.read_bytes()


def test_cuts_lose_and_double_no_record(
    board: Board, proxy: CuttingProxy, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_RETRY_AFTER_S", ())
    path, results = tmp_path / "sweep.toml", tmp_path / "results.jsonl"
    (tmp_path / "a.onnx").write_bytes(model.read_bytes())
    device = board.name(proxy.port)
    path.write_text(
        f'artifacts = ["a.onnx"]\ndevices = ["{device}"]\nthreads = [1, 2]\n'
        "benchmark = { num_runs = 10, warmup_runs = 1 }\n"
    )
    generator = random.Random(0)
    for _ in range(2):
        proxy.cuts = [generator.randrange(200, 30_000)]
        for failure in sweep(path, results).failures:
            assert isinstance(failure.error, DeviceLostError)
    proxy.cuts = []
    assert not sweep(path, results).failures
    ids = [one.id for one in record.read(results)]
    assert len(ids) == len(set(ids)) == 2


@pytest.mark.parametrize(
    ("stderr", "code", "error", "message"),
    [
        ("sh: 1: cannot create x: No space left on device", 1, DeviceError, "No space left"),
        ("Killed", 137, DeviceError, "memory runs out"),
        ("ssh: Could not resolve hostname rpi: Name or service not known", 255, DeviceError, "be reached"),
        ("pi@rpi: Permission denied (publickey).", 255, DeviceError, "does not let pi@rpi in"),
        ("Connection to rpi closed by remote host.", 255, DeviceLostError, "was cut"),
    ],
)
def test_each_failure_is_one_sentence(stderr: str, code: int, error: type[DeviceError], message: str) -> None:
    found = open_ssh("ssh://pi@rpi").failure(Ended(code, stderr), "receive files")
    assert type(found) is error
    assert message in str(found)


def test_the_destination_keeps_what_the_configuration_tells_apart() -> None:
    device = open_ssh("ssh://Pi@Board-A:2222?python=~/venv/bin/python")
    assert isinstance(device, SshDevice)
    command = device.argv("true")
    assert command[command.index("--") + 1] == "Pi@Board-A"
    assert command[command.index("-p") + 1] == "2222"
    assert not [word for word in command if "StrictHostKeyChecking" in word or "KnownHosts" in word]


@pytest.mark.parametrize(
    "name", ["ssh://", "ssh://board/folder", "ssh://pi:secret@board", "ssh://board:port", "ssh://-oProxy=x"]
)
def test_other_forms_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="device"):
        open_ssh(name)
