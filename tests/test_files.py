"""Files appear whole or not at all, whatever goes wrong in between."""

from __future__ import annotations

import errno
import gc
import itertools
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from edgekit.errors import OutputError
from edgekit.files import atomic_folder, write_atomically


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fail_at_call(monkeypatch: pytest.MonkeyPatch, function: str, number: int, call: int = 1) -> None:
    """Let the given call of ``os.<function>``, counted from 1, fail with the error ``number``."""
    real, calls = getattr(os, function), [0]

    def fail(*args: Any) -> Any:
        calls[0] += 1
        if calls[0] == call:
            raise OSError(number, os.strerror(number))
        return real(*args)

    monkeypatch.setattr(os, function, fail)


def write_two(folder: Path) -> None:
    with atomic_folder(folder) as staging:
        (staging / "a").write_text("new a")
        (staging / "b").write_text("new b")


def interrupt(folder: Path, error: type[BaseException]) -> None:
    with atomic_folder(folder) as staging:
        (staging / "model.xml").write_text("half")
        raise error


def interrupt_at(instruction: int, work: Callable[[], None]) -> bool:
    """Do ``work``, with Ctrl-C at that instruction of it, ours or contextlib's; whether it came so far."""
    seen = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal seen
        name = Path(frame.f_code.co_filename).name
        if name not in ("files.py", "contextlib.py", Path(__file__).name):
            return None
        frame.f_trace_opcodes = True
        seen += event == "opcode"
        if seen == instruction:
            sys.settrace(None)
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_ctrl_c_at_any_instruction_leaves_all_or_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for instruction in itertools.count(1, 19):
        was_interrupted = interrupt_at(instruction, lambda: write_two(out))
        gc.collect()  # an end that Ctrl-C cut short is made up for when nothing refers to it
        left = sorted(path.name for path in tmp_path.rglob("*"))
        assert left in ([], ["a", "b", "out"])
        if not was_interrupted:
            break
        if left:
            shutil.rmtree(out)
    assert instruction > 500


def test_writes_bytes_and_text_and_creates_folders(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a" / "b" / "text", "größer")
    write_atomically(tmp_path / "bytes", b"\x00\x01")
    assert (tmp_path / "a" / "b" / "text").read_bytes() == "größer".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\x00\x01"
    assert names(tmp_path) == ["a", "bytes"]


def test_replaces_what_was_there(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", "old, and longer")
    write_atomically(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no umask")
def test_a_file_has_the_users_permissions(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_atomically(tmp_path / "file", "x")
        with atomic_folder(tmp_path) as staging:
            (staging / "other").write_text("x")
    finally:
        os.umask(before)
    assert {(tmp_path / name).stat().st_mode & 0o777 for name in ("file", "other")} == {0o644}


@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.ENOSPC, "disk is full"), (errno.EACCES, "may write to"), (errno.EROFS, "read-only")],
)
def test_a_failed_write_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, hint: str
) -> None:
    write_atomically(tmp_path / "file", "old")
    fail_at_call(monkeypatch, "fsync", number)
    with pytest.raises(OutputError, match=r"cannot write .*file") as caught:
        write_atomically(tmp_path / "file", "new")
    assert hint in caught.value.hint
    assert (tmp_path / "file").read_text() == "old"
    assert names(tmp_path) == ["file"]


def test_a_failed_write_leaves_no_folder_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_at_call(monkeypatch, "replace", errno.ENOSPC)
    with pytest.raises(OutputError):
        write_atomically(tmp_path / "new" / "deeper" / "file", "x")
    assert names(tmp_path) == []


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot write") as caught:
        write_atomically(tmp_path / "file" / "model.tflite", b"")
    assert "choose another folder" in caught.value.hint
    with pytest.raises(OutputError, match="cannot write"), atomic_folder(tmp_path / "file"):
        pytest.fail("the block must not run")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "model.tflite").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        write_atomically(tmp_path / "model.tflite", b"")
    assert names(tmp_path) == ["model.tflite"]


def test_files_move_together_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "model.xml").write_text("old")
    (tmp_path / "unrelated").write_text("stays")
    with atomic_folder(tmp_path) as staging:
        (staging / "model.xml").write_text("new")
        (staging / "model.bin").write_bytes(b"weights")
        assert (tmp_path / "model.xml").read_text() == "old"
    assert names(tmp_path) == ["model.bin", "model.xml", "unrelated"]
    assert (tmp_path / "model.xml").read_text() == "new"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit, OSError])
def test_an_interrupted_block_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        interrupt(tmp_path / "out", error)
    assert names(tmp_path) == []


def test_a_disk_that_fills_up_inside_the_block(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot write .*out") as caught, atomic_folder(tmp_path / "out"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "disk is full" in caught.value.hint
    assert names(tmp_path) == []


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_a_move_that_fails_midway_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    """Two files, both replacing older ones: four renames, each of which may be the one that fails."""
    for name in ("a", "b"):
        (tmp_path / name).write_text(f"old {name}")
    fail_at_call(monkeypatch, "replace", errno.EIO, call)
    with pytest.raises(OutputError):
        write_two(tmp_path)
    assert names(tmp_path) == ["a", "b"]
    assert [(tmp_path / name).read_text() for name in ("a", "b")] == ["old a", "old b"]


def test_a_failed_move_of_new_files_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_at_call(monkeypatch, "replace", errno.ENOSPC, call=2)
    with pytest.raises(OutputError):
        write_two(tmp_path)
    assert names(tmp_path) == []
