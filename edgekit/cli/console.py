"""What all commands share: results on stdout, everything else on stderr, errors as exit codes.

Output is plain when piped, fits the terminal otherwise, and obeys ``NO_COLOR``.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import textwrap
import traceback
from collections.abc import Callable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple, TextIO

import typer

from edgekit.errors import EdgekitError

__all__ = [
    "Column",
    "guard",
    "is_terminal",
    "new_app",
    "print_fields",
    "print_json",
    "print_line",
    "print_table",
    "warn",
]

_INTERRUPTED = 130
_BROKEN_PIPE = 141
_LEAST_WIDTH = 10
_GAP = "  "


class Column(NamedTuple):
    """A table's column; numbers are aligned right."""

    title: str
    is_number: bool = False


def new_app(**settings: Any) -> typer.Typer:
    """A typer application in the common style: plain help, our own errors, no completion options."""
    return typer.Typer(
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        **settings,
    )


def guard(command: Callable[[], None], *, debug: bool = False) -> int:
    """Run ``command`` and return the exit code: 0 done, 1 a check failed, 2 bad usage or input.

    Errors become ``error:`` and ``hint:`` lines on stderr, with the traceback if ``debug``. Ctrl-C is
    130 and a reader that went away 141, quietly, as a shell reports them.
    """
    try:
        command()
        sys.stdout.flush()
    except typer.Exit as exc:
        return exc.exit_code
    except BrokenPipeError:
        # What is still buffered would be written, and fail, once more when the interpreter exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        _print_error("interrupted, no partial file was left", "", debug)
        return _INTERRUPTED
    except EdgekitError as exc:
        _print_error(str(exc), exc.hint, debug)
        return exc.exit_code
    except typer.TyperException as exc:
        _print_error(_without_capital(exc.format_message()), _usage_hint(exc), debug)
        return 2
    except OSError as exc:
        _print_error(_os_error(exc), "", debug)
        return 2
    except Exception as exc:  # the last boundary: whatever a library below raises is not a traceback
        _print_error(f"unexpected {type(exc).__name__}: {exc}", "" if debug else "--debug shows where", debug)
        return 2
    return 0


def is_terminal(stream: TextIO) -> bool:
    """Whether a person is reading what is written to ``stream``."""
    return stream.isatty()


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on stdout."""
    _write(json.dumps(value, indent=2, allow_nan=False))


def print_line(text: str = "") -> None:
    """Print one line on stdout; on a terminal too narrow for it, several that break between words."""
    for line in _wrapped(text, _columns(sys.stdout)):
        _write(line)


def print_fields(fields: Mapping[str, object]) -> None:
    """Print names and values, the values aligned; on a terminal, long ones take several lines."""
    width = max(map(len, fields)) + len(_GAP)
    room = _columns(sys.stdout)
    for name, value in fields.items():
        first, *more = _wrapped(str(value), None if room is None else max(room - width, _LEAST_WIDTH))
        _write(f"{name:{width}}{first}".rstrip())
        for line in more:
            _write(" " * width + line)


def print_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], footer: Sequence[str] | None = None
) -> None:
    """Print a table on stdout.

    On a terminal too narrow for it, titles and texts take several lines and the longest words lose their
    middle; numbers stay whole.
    """
    head = [column.title for column in columns]
    widths, gap = _fit(columns, [*rows, *([footer] if footer else [])], _columns(sys.stdout))
    _print_row(columns, head, widths, gap, is_bold=True)
    for row in rows:
        _print_row(columns, row, widths, gap)
    if footer is not None:
        _print_row(columns, footer, widths, gap, is_bold=True)


def warn(message: str) -> None:
    """Print a warning on stderr."""
    _print_note("warning:", "33", message)


def _write(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _print_error(message: str, hint: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    _print_note("error:", "31", message)
    if hint:
        _print_note("hint:", "36", hint)


def _print_note(kind: str, color: str, message: str) -> None:
    first, *more = _wrapped(f"{kind} {message}", _columns(sys.stderr)) or [kind]
    lines = [_styled(kind, f"1;{color}", sys.stderr) + first.removeprefix(kind), *more]
    sys.stderr.writelines(f"{line}\n" for line in lines)


def _columns(stream: TextIO) -> int | None:
    """How wide lines may be; None where nobody looks."""
    return shutil.get_terminal_size().columns if is_terminal(stream) else None


def _wrapped(text: str, width: int | None) -> list[str]:
    """``text`` in lines of at most ``width``, but for words that are longer."""
    if width is None or len(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]


def _styled(text: str, code: str, stream: TextIO) -> str:
    """``text`` in the style of an ANSI code, where the stream shows styles."""
    if not is_terminal(stream) or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{code}m{text}\x1b[0m"


def _fit(columns: Sequence[Column], rows: Sequence[Sequence[str]], room: int | None) -> tuple[list[int], str]:
    """Widths of the columns and the gap between them: what they need, or what ``room`` leaves them."""
    longest = [max((len(row[index]) for row in rows), default=0) for index in range(len(columns))]
    widths = [max(len(one.title), most) for one, most in zip(columns, longest, strict=True)]
    if room is None or _width(widths, _GAP) <= room:
        return widths, _GAP
    words = [max(map(len, one.title.split()), default=0) for one in columns]
    widths = [max(word, most) for word, most in zip(words, longest, strict=True)]
    least = [
        width if column.is_number else min(width, max(word, _LEAST_WIDTH))
        for column, word, width in zip(columns, words, widths, strict=True)
    ]
    gap = _GAP if _width(least, _GAP) <= room else " "
    while _width(widths, gap) > room and widths != least:
        widest = max(range(len(widths)), key=lambda index: (widths[index] > least[index], widths[index]))
        widths[widest] -= 1
    return widths, gap


def _width(widths: Sequence[int], gap: str) -> int:
    return sum(widths) + len(gap) * (len(widths) - 1)


def _print_row(
    columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int], gap: str, *, is_bold: bool = False
) -> None:
    """Print one row, which takes as many lines as its longest cell."""
    lines = [_cell_lines(cell, width) for cell, width in zip(cells, widths, strict=True)]
    for parts in zip_longest(*lines, fillvalue=""):
        text = gap.join(
            part.rjust(width) if column.is_number else part.ljust(width)
            for part, width, column in zip(parts, widths, columns, strict=True)
        ).rstrip()
        _write(_styled(text, "1", sys.stdout) if is_bold else text)


def _cell_lines(text: str, width: int) -> list[str]:
    return [_cut(line, width) for line in _wrapped(text, width)]


def _cut(text: str, width: int) -> str:
    """``text`` without its middle where it is too long: names differ at their ends most."""
    if len(text) <= width:
        return text
    end = (width - 1) * 2 // 3
    return f"{text[: width - 1 - end]}…{text[len(text) - end :]}"


def _without_capital(text: str) -> str:
    return text[:1].lower() + text[1:]


def _usage_hint(exc: typer.TyperException) -> str:
    context = getattr(exc, "ctx", None)  # only usage errors have one
    return f"{context.command_path if context else 'edgekit'} --help shows the usage"


def _os_error(exc: OSError) -> str:
    if exc.errno == errno.ENOSPC and not exc.filename:
        return "cannot write the output: the disk is full"
    return f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc)
