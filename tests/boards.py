"""A board that an sshd on a loopback port stands in for, and a way to it that can be cut."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Board", "CuttingProxy"]


@dataclass
class Board:
    """Where the sshd listens, and where it keeps what is pushed."""

    port: int
    cache: Path
    known_hosts: Path

    def name(self, port: int | None = None, python: str = sys.executable) -> str:
        return f"ssh://127.0.0.1:{port or self.port}?python={python}"

    def know(self, port: int, key: str) -> None:
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
