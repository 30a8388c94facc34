"""A board to reach by ssh: an sshd of its own on a loopback port, with its own keys and its own cache."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from boards import Board, CuttingProxy
from small_models import save_onnx

_SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")


def _need_sshd() -> None:
    if _SSHD is None or shutil.which("ssh") is None:
        reason = "needs OpenSSH's server and client, which .ci/run installs"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """A running sshd, of the user who runs the tests."""
    _need_sshd()
    folder = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # root's sshd does not start without it
    config = folder / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\nPidFile none\nUsePAM no\n"
        f"StrictModes no\nAuthorizedKeysFile {folder}/user.pub\nPasswordAuthentication no\n"
        f"PermitRootLogin yes\nMaxStartups 100\nSetEnv XDG_CACHE_HOME={folder}/cache\n"
    )
    assert _SSHD
    process = subprocess.Popen([_SSHD, "-D", "-e", "-f", str(config)], stderr=subprocess.DEVNULL)
    try:
        _await_port(port)
        (folder / "known_hosts").touch()
        board = Board(port, folder / "cache" / "edgekit" / "device", folder / "known_hosts")
        board.know(port, (folder / "host.pub").read_text().strip())
        yield board
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def board(sshd: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    """The sshd, empty, and an ``ssh`` on PATH whose configuration is not that of ~/.ssh/config."""
    shutil.rmtree(sshd.cache, ignore_errors=True)
    folder = tmp_path / "bin"
    folder.mkdir()
    (tmp_path / "ssh_config").write_text(
        f"Host *\n  IdentityFile {sshd.known_hosts.parent}/user\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {sshd.known_hosts}\n  GlobalKnownHostsFile none\n  StrictHostKeyChecking ask\n"
    )
    wrapper = folder / "ssh"
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {tmp_path}/ssh_config "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return sshd


@pytest.fixture
def proxy(board: Board) -> Iterator[CuttingProxy]:
    """A way to the board that can be cut, known by its host key."""
    one = CuttingProxy(board.port)
    board.know(one.port, (board.known_hosts.parent / "host.pub").read_text().strip())
    yield one
    one.close()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network as an ``.onnx`` file."""
    return save_onnx(tmp_path_factory.mktemp("model") / "small.onnx")


def _await_port(port: int) -> None:
    for _ in range(100):
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.05)
    pytest.fail("sshd does not listen")
