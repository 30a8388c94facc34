"""A board that an sshd on a loopback port stands in for, and a way to it that can be cut."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SSHD", "Board", "CuttingProxy", "make_client", "serve"]

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")
"""The program, None where it is not installed."""


@dataclass
class Board:
    """Where the sshd listens, and where it keeps what is pushed."""

    port: int
    cache: Path
    known_hosts: Path

    def name(self, port: int | None = None, python: str = sys.executable) -> str:
        return f"ssh://127.0.0.1:{port or self.port}?python={python}"

    def know(self, port: int) -> None:
        """Make the board known to the client as what is reached by ``port``."""
        key = (self.known_hosts.parent / "host.pub").read_text().strip()
        with self.known_hosts.open("a") as file:
            file.write(f"[127.0.0.1]:{port} {key}\n")


class CuttingProxy:
    """Forwards connections to a port, and cuts the next ones after the numbers of bytes in ``cuts``."""

    def __init__(self, port: int) -> None:
        self.cuts: list[int] = []
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                left = [self.cuts.pop(0) if self.cuts else sys.maxsize]
                server = socket.create_connection(("127.0.0.1", self._target))
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._forward, args=(one, other, left), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, left: list[int]) -> None:
        with suppress(OSError):
            while left[0] > 0 and (data := source.recv(min(65536, left[0]))):
                target.sendall(data)
                left[0] -= len(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def serve(folder: Path) -> Iterator[Board]:
    """Run an sshd of the user who runs this, with keys, cache and settings in ``folder``."""
    assert SSHD is not None
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
    process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=subprocess.DEVNULL)
    try:
        _await_port(port)
        board = Board(port, folder / "cache" / "edgekit" / "device", folder / "known_hosts")
        board.known_hosts.touch()
        board.know(port)
        yield board
    finally:
        process.terminate()
        process.wait()


def make_client(board: Board, folder: Path) -> Path:
    """A folder for PATH whose ``ssh`` reads a configuration of its own instead of ~/.ssh/config."""
    keys = board.known_hosts.parent
    (folder / "ssh_config").write_text(
        f"Host *\n  IdentityFile {keys}/user\n  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {board.known_hosts}\n  GlobalKnownHostsFile none\n"
        f"  StrictHostKeyChecking ask\n"
    )
    programs = folder / "bin"
    programs.mkdir()
    wrapper = programs / "ssh"
    wrapper.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {folder}/ssh_config "$@"\n')
    wrapper.chmod(0o755)
    return programs


def _await_port(port: int) -> None:
    for _ in range(200):
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.05)
    raise TimeoutError("sshd does not listen")
