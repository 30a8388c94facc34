"""A growing results file: whole lines, mended ends, one writer at a time, nothing half written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.errors import InputError, OutputError
from edgekit.measure import record
from edgekit.measure.results_file import append, appending
from records import latency_record


def ids(path: Path) -> list[str]:
    return [one.id for one in record.read(path)]


def test_records_are_added_after_those_that_are_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.jsonl"
    append(path, latency_record(id="1"))
    before = path.read_bytes()
    append(path, latency_record(id="2"), latency_record(id="3"))
    assert path.read_bytes().startswith(before)
    assert ids(path) == ["1", "2", "3"]


def test_a_record_is_there_before_the_next_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with appending(path) as appender:
        appender.add(latency_record(id="1"))
        assert ids(path) == ["1"]


@pytest.mark.parametrize(("lost", "expected"), [(1, ["1", "2", "3"]), (2, ["1", "3"]), (200, ["1", "3"])])
def test_a_line_that_was_cut_short_makes_place_for_the_next(
    tmp_path: Path, lost: int, expected: list[str]
) -> None:
    path = tmp_path / "results.jsonl"
    append(path, latency_record(id="1"), latency_record(id="2"))
    path.write_bytes(path.read_bytes()[:-lost])
    append(path, latency_record(id="3"))
    assert ids(path) == expected


def test_another_kind_of_file_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("remember the milk\nand the bread\nwithout an end")
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"notes\.txt line 1"):
        append(path, latency_record())
    assert path.read_bytes() == before


def test_two_writers_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    with appending(path), pytest.raises(OutputError, match="being written by another process"):  # noqa: SIM117
        with appending(path, wait_s=0.1):
            pytest.fail("there were two writers")
    append(path, latency_record(id="1"))
    assert ids(path) == ["1"]


def test_a_writer_that_was_killed_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom edgekit.measure.results_file import appending\n"
        "with appending(Path(sys.argv[1])):\n    os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 9
    append(path, latency_record(id="1"))
    assert ids(path) == ["1"]


def test_a_disk_that_is_full_leaves_no_half_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "results.jsonl"
    with appending(path) as appender:
        appender.add(latency_record(id="1"))

        def full(descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="No space left on device"):
            appender.add(latency_record(id="2"))
        assert ids(path) == ["1"]


def test_a_folder_is_not_a_results_file(tmp_path: Path) -> None:
    with pytest.raises((OutputError, InputError), match=r"Is a directory|Permission"):
        append(tmp_path, latency_record())
