"""Work on several cores: in order, a few parts ahead, and errors where they belong."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from edgekit.quantize.parallel import in_order


def test_results_come_in_the_order_of_the_parts() -> None:
    def slow_first(number: int) -> int:
        time.sleep(0.02 if number % 3 == 0 else 0)
        return number * number

    assert list(in_order(slow_first, range(20))) == [number * number for number in range(20)]


def test_two_parts_are_worked_on_at_once() -> None:
    meeting = threading.Barrier(2, timeout=30)  # which one alone would wait for in vain
    assert len(list(in_order(lambda _: meeting.wait(), range(2)))) == 2


def test_parts_are_read_as_results_are_taken() -> None:
    read = []

    def parts() -> Iterator[int]:
        for number in range(1000):
            read.append(number)
            yield number

    results = in_order(lambda number: number, parts())
    assert next(results) == 0
    assert len(read) < 10
    results.close()


def test_an_error_reaches_whoever_takes_the_result() -> None:
    results = in_order(lambda number: 1 / number, [1, 0, 1])
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)
