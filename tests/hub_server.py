"""A Hugging Face hub on loopback: repositories with branches and commits, by the few requests that matter."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

import pytest

__all__ = ["Hub", "Repository", "running_hub"]


@dataclass
class Repository:
    """``revisions`` are branches, tags and commits, each with its commit; ``commits`` have the files."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    revisions: dict[str, str] = field(default_factory=dict)
    is_gated: bool = False

    def commit(self, files: dict[str, bytes], branch: str = "main") -> str:
        """Put ``files`` alone on a branch; returns the commit."""
        content = repr((sorted(files.items()), branch)).encode()
        commit = hashlib.sha1(content).hexdigest()
        self.commits[commit] = files
        self.revisions |= {branch: commit, commit: commit}
        return commit


class Hub(ThreadingHTTPServer):
    """Serves ``repositories``; ``status`` other than 200 answers everything. ``asked`` are the requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.status = 200
        self.page = b""
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def add(self, name: str, files: dict[str, bytes]) -> str:
        """A new repository with one commit, which is returned."""
        self.repositories[name] = Repository()
        return self.repositories[name].commit(files)


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        path = urlsplit(self.path).path
        self.server.asked.append(f"{self.command} {path}")
        status, headers, body = self._found(path)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)

    def _found(self, path: str) -> tuple[int, dict[str, str], bytes]:
        server = self.server
        if server.status != 200 or server.page:
            return server.status, {}, server.page
        parts = [unquote(part) for part in path.removeprefix("/api/models").split("/")[1:]]
        repository = server.repositories.get("/".join(parts[:2]))
        if repository is None:
            return 401, {"X-Error-Code": "RepoNotFound"}, b""
        is_api = path.startswith("/api/models/")
        revision, *file = parts[3:] if parts[2:] else ["main"]
        commit = repository.revisions.get(revision)
        if commit is None:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b""
        files = repository.commits[commit]
        if is_api:
            siblings = [{"rfilename": name} for name in files]
            document = {"id": "/".join(parts[:2]), "sha": commit, "siblings": siblings}
            return 200, {}, json.dumps(document).encode()
        if repository.is_gated:
            return 403, {"X-Error-Code": "GatedRepo"}, b""
        name = "/".join(file)
        if name not in files:
            return 404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit}, b""
        etag = hashlib.sha256(files[name]).hexdigest()
        return 200, {"X-Repo-Commit": commit, "ETag": f'"{etag}"'}, files[name]

    def log_message(self, format: str, *args: object) -> None:
        """Tests print nothing."""


@contextmanager
def running_hub(cache: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that huggingface_hub uses, with an empty ``cache``, and no token of the person who tests."""
    from huggingface_hub import constants

    with Hub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", cache)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()
