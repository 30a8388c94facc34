"""Tables that fit, styles that are only there for people, and errors as exit codes."""

from __future__ import annotations

import json
from typing import NoReturn

import pytest
import typer

from edgekit.cli import console
from edgekit.cli.console import Column
from edgekit.errors import CheckError, EdgekitError, InputError, MissingExtraError, OutputError

COLUMNS = (Column("name"), Column("count", is_number=True), Column("remark"))
ROWS = [("one", "1", "short"), ("eleven", "11", "a remark that is rather long")]


def raising(error: BaseException) -> NoReturn:
    raise error


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let stdout and stderr be terminals of 40 columns."""
    monkeypatch.setattr(console, "is_terminal", lambda stream: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


def test_a_piped_table_is_plain_and_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    console.print_table(COLUMNS, ROWS, footer=("total", "12", ""))
    assert capsys.readouterr().out.splitlines() == [
        "name    count  remark",
        "one         1  short",
        "eleven     11  a remark that is rather long",
        "total      12",
    ]


@pytest.mark.usefixtures("terminal")
def test_a_table_fits_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    console.print_table(COLUMNS, ROWS)
    assert capsys.readouterr().out.splitlines() == [
        "\x1b[1mname    count  remark\x1b[0m",
        "one         1  short",
        "eleven     11  a remark that",
        "               is rather long",
    ]


@pytest.mark.usefixtures("terminal")
def test_words_that_are_too_long_lose_their_beginning_and_numbers_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("NO_COLOR", "1")
    columns = (Column("file"), Column("median ms", is_number=True), Column("runs", is_number=True))
    rows = [("network_fp32.tflite", "123.456", "25"), ("network_int8.tflite", "7.5", "1,000")]
    console.print_table(columns, rows)
    assert capsys.readouterr().out.splitlines() == [
        "file             median   runs",
        "                     ms",
        "…k_fp32.tflite  123.456     25",
        "…k_int8.tflite      7.5  1,000",
    ]
    monkeypatch.setenv("COLUMNS", "22")
    console.print_table(columns, rows)
    assert capsys.readouterr().out.splitlines() == [
        "file        median  runs",
        "                ms",
        "…32.tflite 123.456    25",
        "…t8.tflite     7.5 1,000",
    ]


@pytest.mark.usefixtures("terminal")
def test_optional_columns_are_left_out_rather_than_wrapped_and_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = (Column("name"), Column("MB", True, is_optional=True), Column("op", is_optional=True))
    rows = [("network_int8", "12.5", "a kernel")]
    monkeypatch.setenv("NO_COLOR", "1")
    for width, shown in {"28": "name            MB  op", "27": "name            MB", "17": "name"}.items():
        monkeypatch.setenv("COLUMNS", width)
        console.print_table(columns, rows)
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == shown
        assert all(len(line) <= int(width) for line in lines)
        left = " ".join(lines[2:]).removeprefix("Left out, for want of room: ").rstrip(".").split(", ")
        assert set(shown.split()) | set(filter(None, left)) == {"name", "MB", "op"}


@pytest.mark.usefixtures("terminal")
def test_sentences_break_between_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("NO_COLOR", "1")
    console.print_line("Judged on 50 other images.")
    console.print_fields({"model": "a name that is long", "input": "1"})
    console.warn("a file of results was cut")
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        *("Judged on 50 other", "images."),
        *("model  a name that", "       is long", "input  1"),
    ]
    assert err.splitlines() == ["warning: a file of", "results was cut"]


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_styles_where_they_are_not_wanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    console.print_table(COLUMNS, ROWS)
    console.warn("careful")
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err


@pytest.mark.usefixtures("terminal")
def test_a_warning_stands_out(capsys: pytest.CaptureFixture[str]) -> None:
    console.warn("careful")
    assert capsys.readouterr() == ("", "\x1b[1;33mwarning:\x1b[0m careful\n")


def test_fields_are_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_fields({"a": 1, "long": "x", "none": ""})
    assert capsys.readouterr().out == "a     1\nlong  x\nnone\n"


def test_json_is_one_object_of_valid_json(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json({"name": "größer", "value": None})
    assert json.loads(capsys.readouterr().out) == {"name": "größer", "value": None}
    with pytest.raises(ValueError, match="not JSON compliant"):
        console.print_json({"value": float("inf")})


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (
            InputError("a was given, b expected", hint="give b"),
            2,
            ["error: a was given, b expected", "hint: give b"],
        ),
        (OutputError("cannot write x"), 2, ["error: cannot write x"]),
        (CheckError("2 points below"), 1, ["error: 2 points below"]),
        (
            MissingExtraError("torch", "torch", "capturing"),
            2,
            [
                "error: capturing needs the package torch, which is not installed",
                "hint: pip install 'edgekit[torch]'",
            ],
        ),
        (KeyboardInterrupt(), 130, ["error: interrupted, no partial file was left"]),
        (FileNotFoundError(2, "No such file or directory", "x"), 2, ["error: x: No such file or directory"]),
        (
            ZeroDivisionError("division by zero"),
            2,
            ["error: unexpected ZeroDivisionError: division by zero", "hint: --debug shows where"],
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_errors_become_lines_and_an_exit_code(
    capsys: pytest.CaptureFixture[str], error: BaseException, code: int, lines: list[str]
) -> None:
    assert console.guard(lambda: raising(error)) == code
    out, err = capsys.readouterr()
    assert (out, err.splitlines()) == ("", lines)


def subclasses(error: type[EdgekitError]) -> list[type[EdgekitError]]:
    return [error, *(inner for child in error.__subclasses__() for inner in subclasses(child))]


@pytest.mark.parametrize("error", subclasses(EdgekitError), ids=lambda error: error.__name__)
def test_only_a_failed_check_exits_with_1(error: type[EdgekitError]) -> None:
    assert error.exit_code == (1 if issubclass(error, CheckError) else 2)


@pytest.mark.parametrize("code", [0, 3])
def test_an_exit_keeps_its_code(code: int) -> None:
    assert console.guard(lambda: raising(typer.Exit(code))) == code


def test_success_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert console.guard(lambda: console.print_line("done")) == 0
    assert capsys.readouterr() == ("done\n", "")


def test_system_exit_is_left_alone() -> None:
    with pytest.raises(SystemExit):
        console.guard(lambda: raising(SystemExit(7)))
