"""Downloads from a loopback server that behaves, breaks off, tampers, or knows no ranges."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from edgekit.errors import OutputError, WeightsError
from edgekit.models.download import fetch, sha256_of

CONTENT = bytes(range(256)) * 4096
PREFIX = hashlib.sha256(CONTENT).hexdigest()[:8]


class Server(ThreadingHTTPServer):
    """Serves ``content``; the first ``breaks`` answers end after half of what is asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.content = CONTENT
        self.breaks = 0
        self.knows_ranges = True
        self.status = 200
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/weights/net-{PREFIX}.pth"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        asked = self.headers.get("Range")
        server.ranges.append(asked)
        if server.status != 200:
            self.send_error(server.status)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.knows_ranges else 0
        if start >= len(server.content):
            self.send_error(416)
            return
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if server.breaks:
            server.breaks -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Tests print nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def part_of(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def target(server: Server, folder: Path) -> Path:
    return folder / f"net-{PREFIX}.pth"


def test_a_file_is_fetched_once_and_reported(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    folder = tmp_path / "new" / "cache"
    path = fetch(server.url, PREFIX, folder, lambda *state: seen.append(state))
    assert path == target(server, folder)
    assert path.read_bytes() == CONTENT
    assert seen[-1] == ("download", len(CONTENT), len(CONTENT))
    assert fetch(server.url, PREFIX, folder) == path
    assert server.ranges == [None]
    assert list(folder.iterdir()) == [path]


def test_a_connection_that_breaks_off_is_resumed(server: Server, tmp_path: Path) -> None:
    server.breaks = 2
    path = fetch(server.url, PREFIX, tmp_path)
    assert path.read_bytes() == CONTENT
    half, quarter = len(CONTENT) // 2, len(CONTENT) // 4
    assert server.ranges == [None, f"bytes={half}-", f"bytes={half + quarter}-"]


def test_a_truncated_file_is_an_error_and_the_next_run_goes_on(server: Server, tmp_path: Path) -> None:
    server.breaks = 3
    with pytest.raises(WeightsError, match=r"did not arrive intact: 917,504 of 1,048,576 bytes") as caught:
        fetch(server.url, PREFIX, tmp_path)
    assert "run again" in caught.value.hint
    path = target(server, tmp_path)
    assert not path.exists()
    assert part_of(path).stat().st_size == 917_504
    assert fetch(server.url, PREFIX, tmp_path).read_bytes() == CONTENT
    assert server.ranges[-1] == "bytes=917504-"
    assert not part_of(path).exists()


def test_a_server_without_ranges_starts_over(server: Server, tmp_path: Path) -> None:
    server.knows_ranges = False
    server.breaks = 1
    assert fetch(server.url, PREFIX, tmp_path).read_bytes() == CONTENT


def test_a_tampered_file_is_refused_and_not_kept(server: Server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"!"
    with pytest.raises(WeightsError, match=rf"SHA-256 is .*, expected {PREFIX}"):
        fetch(server.url, PREFIX, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert server.ranges == [None]


def test_a_rest_of_another_version_is_thrown_away(server: Server, tmp_path: Path) -> None:
    part_of(target(server, tmp_path)).write_bytes(b"another" * 100)
    assert fetch(server.url, PREFIX, tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=700-", None]


def test_a_complete_rest_needs_no_bytes(server: Server, tmp_path: Path) -> None:
    part_of(target(server, tmp_path)).write_bytes(CONTENT)
    assert fetch(server.url, PREFIX, tmp_path).read_bytes() == CONTENT


def test_a_damaged_cached_file_is_fetched_again(server: Server, tmp_path: Path) -> None:
    target(server, tmp_path).write_bytes(CONTENT[:100])
    assert fetch(server.url, PREFIX, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_refusal_is_named(server: Server, tmp_path: Path, status: int) -> None:
    server.status = status
    with pytest.raises(WeightsError, match=f"cannot download {server.url}"):
        fetch(server.url, PREFIX, tmp_path)


def test_without_a_network_the_hint_says_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(WeightsError, match="cannot download") as caught:
        fetch(f"http://127.0.0.1:{port}/net.pth", PREFIX, tmp_path)
    assert str(tmp_path / "net.pth") in caught.value.hint
    assert "--weights" in caught.value.hint


def test_a_connection_closed_without_an_answer_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            connection.recv(1000)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(WeightsError, match="cannot download"):
            fetch(f"http://127.0.0.1:{listener.getsockname()[1]}/net.pth", PREFIX, tmp_path)
        thread.join()


def test_an_unwritable_cache_is_an_output_error(server: Server, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write") as caught:
        fetch(server.url, PREFIX, blocked / "cache")
    assert "EDGEKIT_CACHE" in caught.value.hint


def test_sha256_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "abc"
    path.write_bytes(b"abc")
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
