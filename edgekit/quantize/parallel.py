"""The same work on every core for one part of the data after the other: the cores change only the time.

Numpy and onnxruntime let other threads run while they compute, so threads are enough.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["in_order"]

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")

_WORKERS = (2, 4)  # at least and at most; each holds a part, and what it makes of it


def in_order(function: Callable[[_Part], _Result], parts: Iterable[_Part]) -> Generator[_Result, None, None]:
    """``map(function, parts)`` on up to four cores; few parts are read ahead of what is asked for."""
    fewest, most = _WORKERS
    workers = min(max(os.cpu_count() or 1, fewest), most)
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[_Result]] = deque()
        for part in parts:
            waiting.append(pool.submit(function, part))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
