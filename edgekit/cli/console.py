"""What all commands share: results on stdout, everything else on stderr, errors as exit codes.

Output is plain when piped, fits the terminal otherwise, and obeys ``NO_COLOR``.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
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
_LEAST_WIDTH = 8


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
    print_line(json.dumps(value, indent=2, allow_nan=False))


def print_line(text: str = "") -> None:
    """Print one line on stdout."""
    sys.stdout.write(f"{text}\n")


def print_fields(fields: Mapping[str, object]) -> None:
    """Print names and values, the values aligned."""
    width = max(map(len, fields))
    for name, value in fields.items():
        print_line(f"{name:{width}}  {value}".rstrip())


def print_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], footer: Sequence[str] | None = None
) -> None:
    """Print a table on stdout; on a terminal too narrow for it, the widest text is cut."""
    lines = [[column.title for column in columns], *rows, *([footer] if footer else [])]
    widths = _fit([max(map(len, cells)) for cells in zip(*lines, strict=True)], columns)
    for index, line in enumerate(lines):
        text = "  ".join(
            _pad(_cut(cell, width), width, column.is_number)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ).rstrip()
        is_bold = index == 0 or (footer is not None and index == len(lines) - 1)
        print_line(_styled(text, "1", sys.stdout) if is_bold else text)


def warn(message: str) -> None:
    """Print a warning on stderr."""
    _print_note("warning:", "33", message)


def _print_error(message: str, hint: str, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    _print_note("error:", "31", message)
    if hint:
        _print_note("hint:", "36", hint)


def _print_note(kind: str, color: str, message: str) -> None:
    sys.stderr.write(f"{_styled(kind, f'1;{color}', sys.stderr)} {message}\n")


def _styled(text: str, code: str, stream: TextIO) -> str:
    """``text`` in the style of an ANSI code, where the stream shows styles."""
    if not is_terminal(stream) or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{code}m{text}\x1b[0m"


def _fit(widths: list[int], columns: Sequence[Column]) -> list[int]:
    """``widths``, with the widest text column narrowed until the table fits the terminal."""
    if not is_terminal(sys.stdout):
        return widths
    excess = sum(widths) + 2 * (len(widths) - 1) - shutil.get_terminal_size().columns
    texts = [index for index, column in enumerate(columns) if not column.is_number]
    if excess > 0 and texts:
        widest = max(texts, key=lambda index: widths[index])
        widths[widest] = max(min(_LEAST_WIDTH, widths[widest]), widths[widest] - excess)
    return widths


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _pad(text: str, width: int, is_number: bool) -> str:
    return text.rjust(width) if is_number else text.ljust(width)


def _without_capital(text: str) -> str:
    return text[:1].lower() + text[1:]


def _usage_hint(exc: typer.TyperException) -> str:
    context = getattr(exc, "ctx", None)  # only usage errors have one
    return f"{context.command_path if context else 'edgekit'} --help shows the usage"


def _os_error(exc: OSError) -> str:
    if exc.errno == errno.ENOSPC and not exc.filename:
        return "cannot write the output: the disk is full"
    return f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc)
