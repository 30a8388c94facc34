"""What high effort has learned so far, in a file: what was interrupted goes on where it stopped.

A file belongs to everything that decides the result (network, images, options), so that nothing but the same
work is ever continued. It is deleted when the work is done.
"""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgekit.errors import OutputError
from edgekit.files import write_atomically
from edgekit.quantize.torch_graph import import_torch

__all__ = ["Checkpoint"]

State = dict[str, Any]

_MOST_FILES = 2  # of other work that was interrupted and never taken up again
_UNREADABLE = (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError)


class Checkpoint:
    """The states of what learns, one after another; nothing is kept where there is no ``folder``.

    ``parts`` are everything that decides the result. A state holds tensors, numbers, and containers of such.
    """

    def __init__(self, folder: Path | None, parts: Iterable[bytes]) -> None:
        self._path: Path | None = None
        self._states: list[State] = []
        if folder is None:
            return
        whole = hashlib.sha256()
        for part in parts:
            whole.update(hashlib.sha256(part).digest())
        self._path = folder / f"{whole.hexdigest()[:32]}.pt"
        self._states = _read(self._path)
        _prune(self._path)

    def state(self, index: int) -> State | None:
        """What was last kept at ``index``."""
        return self._states[index] if index < len(self._states) else None

    def keep(self, index: int, state: State) -> None:
        """Replace what is kept at ``index``; what comes behind it is forgotten.

        A folder that cannot be written to costs no more than the chance to go on.
        """
        if self._path is None:
            return
        self._states[index:] = [state]
        content = io.BytesIO()
        import_torch().save(self._states, content)
        with suppress(OutputError):
            write_atomically(self._path, content.getvalue())

    def discard(self) -> None:
        """Delete the file."""
        if self._path is not None:
            with suppress(OSError):
                self._path.unlink()


def _read(path: Path) -> list[State]:
    """The file's states; none of a file that is absent or damaged."""
    with suppress(*_UNREADABLE):
        states: list[State] = import_torch().load(path, weights_only=True)
        return states
    return []


def _prune(path: Path) -> None:
    """Delete the oldest files of other work."""
    others = [other for other in path.parent.glob("*.pt") if other != path]
    with suppress(OSError):
        for other in sorted(others, key=lambda one: one.stat().st_mtime)[:-_MOST_FILES]:
            other.unlink()
