"""A progress bar on stderr for long work, where someone is watching."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from edgekit.cli import console

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["ProgressCallback", "watch"]

ProgressCallback: TypeAlias = Callable[[str, int, int], None]
"""Called with a stage's name, how much of it is done, and how much there is."""


@contextmanager
def watch() -> Iterator[ProgressCallback | None]:
    """Yield the callback for the library: a bar for each stage, or ``None`` where stderr is no terminal.

    Inside the block stdout is stderr, so that what a user's model prints does not mix with the result.
    """
    with contextlib.redirect_stdout(sys.stderr):
        if not console.is_terminal(sys.stderr):
            yield None
            return
        with _new_progress() as progress:
            yield _Bars(progress)


def _new_progress() -> Progress:
    # Imported here: the commands that finish at once do without it.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
    )


class _Bars:
    """Draws each stage that is reported as one bar."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._progress.add_task(stage, total=total)
        self._progress.update(self._tasks[stage], completed=done, total=total)
