"""A bar where someone is watching, silence elsewhere, and stdout for the result alone."""

from __future__ import annotations

import pytest

from edgekit.cli import console
from edgekit.cli.progress import watch


def test_nothing_is_drawn_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with watch() as progress:
        assert progress is None
    assert capsys.readouterr() == ("", "")


def test_what_is_printed_inside_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with watch():
        print("noise")  # noqa: T201
    console.print_line("result")
    assert capsys.readouterr() == ("result\n", "noise\n")


def test_a_terminal_shows_each_stage(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "is_terminal", lambda stream: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with watch() as progress:
        assert progress is not None
        progress("calibrate", 0, 2)
        progress("calibrate", 2, 2)
        progress("verify", 1, 3)
    out, err = capsys.readouterr()
    assert out == ""
    assert "calibrate" in err
    assert "2/2" in err
    assert "1/3" in err
