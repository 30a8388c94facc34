"""Downloads that are verified, cached and resumed.

A file is fetched into ``NAME.part`` beside its place and renamed once its SHA-256 is right, so the
cache never holds a damaged file; what arrived of an interrupted download is the start of the next.
"""

from __future__ import annotations

import hashlib
import http
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from edgekit.errors import OutputError, WeightsError

__all__ = ["Progress", "fetch", "sha256_of"]

Progress = Callable[[str, int, int], None]
"""Called with the stage, and how much is done of how much; 0 of 0 where the size is unknown."""

_STAGE = "download"
_CHUNK_BYTES = 1 << 18
_TIMEOUT_SECONDS = 30.0
_ATTEMPTS = 3


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def fetch(url: str, sha256_prefix: str, folder: Path, progress: Progress | None = None) -> Path:
    """The local copy of ``url`` in ``folder``, downloaded if it is not there yet.

    Raises :class:`WeightsError` when the server cannot be reached, the transfer breaks off, or the
    content's SHA-256 does not begin with ``sha256_prefix``; :class:`OutputError` when ``folder``
    cannot be written.
    """
    path = folder / unquote(PurePosixPath(urlsplit(url).path).name)
    if path.is_file() and sha256_of(path).startswith(sha256_prefix):
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _download(url, sha256_prefix, path, progress)
    except OSError as exc:
        raise OutputError(
            f"cannot write {path}: {exc.strerror or exc}", hint="EDGEKIT_CACHE moves the folder of downloads"
        ) from exc
    return path


def _download(url: str, sha256_prefix: str, path: Path, progress: Progress | None) -> None:
    part = path.with_name(f"{path.name}.part")
    problem = ""
    for _ in range(_ATTEMPTS):
        resumed = part.is_file()
        problem = _transfer(url, part, path, progress)
        if problem:
            continue
        found = sha256_of(part)
        if found.startswith(sha256_prefix):
            part.replace(path)
            return
        part.unlink()
        problem = f"its SHA-256 is {found[:16]}…, expected {sha256_prefix}…"
        if not resumed:  # what an earlier run left may be of another version, what came whole is not
            break
    raise WeightsError(
        f"{url} did not arrive intact: {problem}",
        hint=f"run again, or download it by other means and put it at {path}",
    )


def _transfer(url: str, part: Path, path: Path, progress: Progress | None) -> str:
    """Append what is missing of ``url`` to ``part``; returns what kept it from being all, if anything."""
    done = part.stat().st_size if part.is_file() else 0
    response = _open(url, done, path)
    if response is None:
        return ""
    with response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            done = 0
        remaining = response.headers.get("Content-Length")
        total = done + int(remaining) if remaining else 0
        with part.open("ab" if done else "wb") as file:
            for chunk in _chunks(response):
                file.write(chunk)
                done += len(chunk)
                if progress:
                    progress(_STAGE, done, total)
    return f"{done:,} of {total:,} bytes came" if done < total else ""


def _open(url: str, done: int, path: Path) -> http.client.HTTPResponse | None:
    """The rest of ``url`` from byte ``done``, None where the server has nothing past it."""
    request = urllib.request.Request(url, headers={"Range": f"bytes={done}-"} if done else {})
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as exc:
        exc.close()
        if exc.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return None
        raise _unreachable(url, path, exc) from exc
    except (OSError, http.client.HTTPException) as exc:
        raise _unreachable(url, path, exc) from exc
    return response


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The content as it comes, to its end or to the end of the connection."""
    with suppress(OSError, http.client.HTTPException):
        while chunk := response.read(_CHUNK_BYTES):
            yield chunk


def _unreachable(url: str, path: Path, exc: Exception) -> WeightsError:
    return WeightsError(
        f"cannot download {url}: {getattr(exc, 'reason', None) or exc}",
        hint=f"without a network, fetch it elsewhere and put it at {path}, "
        "give a file with --weights FILE, or use --weights random",
    )
