"""Files that appear whole or not at all.

Everything is first written beside its destination, on the same file system, and then renamed; whatever
interrupts the work (an error, a full disk, Ctrl-C) leaves the destination as it was.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edgekit.errors import OutputError

__all__ = ["atomic_folder", "sha256_of", "write_atomically"]

_FULL = {errno.ENOSPC, errno.EDQUOT}
_HINTS = {
    errno.ENOSPC: "the disk is full: free some space, or choose a folder on another disk",
    errno.EDQUOT: "the disk quota is used up: free some space, or choose a folder on another disk",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.ENOTDIR: "a part of the path is a file: choose another folder",
    errno.EEXIST: "there is a file of that name: choose another folder",
    errno.EISDIR: "there is a folder of that name: choose another file",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def sha256_of(path: Path) -> str:
    """The content's SHA-256 in hexadecimal. Raises OSError when the file cannot be read."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write_atomically(path: Path, data: bytes | str) -> None:
    """Write ``data`` (text as UTF-8) to ``path``, replacing what was there, and create missing folders.

    Raises OutputError when it cannot be written; then ``path`` is as it was before.
    """
    path = Path(path)
    content = data.encode() if isinstance(data, str) else data
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    attempt = _Attempt(path.parent, temporary)
    try:
        with _errors_of(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(temporary, content)
            os.replace(temporary, path)
    finally:
        attempt.end()


@contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder whose files all move into ``folder`` when the block ends well.

    For files that belong together, such as OpenVINO's ``.xml`` and ``.bin`` or the artifacts and the
    manifest of one export: they replace their namesakes in ``folder``, other files there stay. When the
    block raises, or a file cannot be moved, ``folder`` is left as it was. Subfolders are not moved.

    Raises OutputError when ``folder`` cannot be written to, or the disk fills up inside the block.
    """
    folder = Path(folder)
    staging = folder / f".edgekit-{secrets.token_hex(8)}"
    attempt = _Attempt(folder, staging)
    try:
        with _errors_of(folder):
            folder.mkdir(parents=True, exist_ok=True)
            staging.mkdir()
        with _errors_of(folder, only=_FULL):
            yield staging
        with _errors_of(folder):
            _move_files(staging, folder)
    finally:
        attempt.end()


class _Attempt:
    """An attempt to write into ``folder`` by way of ``temporary``: its end leaves only what succeeded.

    Create it before anything else. Ctrl-C may strike between any two instructions, so also where no
    ``try`` can be; then this object ends with the interpreter, if not before.
    """

    def __init__(self, folder: Path, temporary: Path) -> None:
        self._temporary = temporary
        self._made = [path for path in (folder, *folder.parents) if not path.exists()]
        self._at_exit = weakref.finalize(self, _tidy, temporary, self._made)

    def end(self) -> None:
        _tidy(self._temporary, self._made)
        self._at_exit.detach()


def _tidy(temporary: Path, made: list[Path]) -> None:
    """Remove ``temporary``, a file or a folder, and those of the folders ``made`` that are still empty."""
    with suppress(OSError):
        temporary.unlink()
    shutil.rmtree(temporary, ignore_errors=True)
    for path in made:
        with suppress(OSError):
            path.rmdir()


def _write(path: Path, content: bytes) -> None:
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        # A rename may reach the disk before the content does, and a power cut then leaves an empty file.
        os.fsync(file.fileno())


def _move_files(staging: Path, folder: Path) -> None:
    """Move every file of ``staging`` into ``folder``, or none: a failure brings the replaced ones back."""
    replaced = staging / ".replaced"
    replaced.mkdir()
    files = sorted(path for path in staging.iterdir() if path.is_file())
    try:
        for file in files:
            if (folder / file.name).is_file():
                os.replace(folder / file.name, replaced / file.name)
            os.replace(file, folder / file.name)
    except BaseException:
        _restore(files, folder, replaced)
        raise


def _restore(files: list[Path], folder: Path, replaced: Path) -> None:
    """Undo :func:`_move_files` as far as it came."""
    for file in files:
        if not file.exists():
            (folder / file.name).unlink(missing_ok=True)
        if (replaced / file.name).exists():
            os.replace(replaced / file.name, folder / file.name)


@contextmanager
def _errors_of(path: Path, only: set[int] | None = None) -> Iterator[None]:
    """Turn an ``OSError`` (of the given numbers) into an OutputError that names ``path``."""
    try:
        yield
    except OSError as exc:
        if only is not None and exc.errno not in only:
            raise
        reason = exc.strerror or str(exc)
        raise OutputError(f"cannot write {path}: {reason}", hint=_HINTS.get(exc.errno or 0, "")) from exc
