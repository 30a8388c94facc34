"""A board to reach by ssh: an sshd of its own on a loopback port, with its own keys and its own cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from boards import SSHD, Board, CuttingProxy, make_client, serve
from small_models import save_onnx


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    """A running sshd, of the user who runs the tests."""
    if SSHD is None or shutil.which("ssh") is None:
        reason = "needs OpenSSH's server and client, which .ci/run installs"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with serve(tmp_path_factory.mktemp("sshd")) as board:
        yield board


@pytest.fixture
def board(sshd: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    """The sshd, empty, and an ``ssh`` on PATH whose configuration is not that of ~/.ssh/config."""
    shutil.rmtree(sshd.cache, ignore_errors=True)
    programs = make_client(sshd, tmp_path)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return sshd


@pytest.fixture
def proxy(board: Board) -> Iterator[CuttingProxy]:
    """A way to the board that can be cut, known by its host key."""
    one = CuttingProxy(board.port)
    board.know(one.port)
    yield one
    one.close()


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network as an ``.onnx`` file."""
    return save_onnx(tmp_path_factory.mktemp("model") / "small.onnx")
