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
from typing import Any, TextIO

import typer

from edgekit.cli.layout import GAP, LEAST_WIDTH, Column, table, wrapped
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
        _print_error(_as_ours(exc.format_message()), _usage_hint(exc), debug)
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
    for line in wrapped(text, _columns(sys.stdout)):
        _write(line)


def print_fields(fields: Mapping[str, object]) -> None:
    """Print names and values, the values aligned; on a terminal, long ones take several lines."""
    width = max(map(len, fields)) + len(GAP)
    room = _columns(sys.stdout)
    for name, value in fields.items():
        first, *more = wrapped(str(value), None if room is None else max(room - width, LEAST_WIDTH))
        _write(f"{name:{width}}{first}".rstrip())
        for line in more:
            _write(" " * width + line)


def print_table(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], footer: Sequence[str] | None = None
) -> None:
    """Print a table on stdout that fits the terminal, as :func:`edgekit.cli.layout.table` says."""
    for line in table(columns, rows, footer, _columns(sys.stdout)):
        _write(_styled(line.text, "1", sys.stdout) if line.is_bold else line.text)


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
    first, *more = wrapped(f"{kind} {message}", _columns(sys.stderr)) or [kind]
    lines = [_styled(kind, f"1;{color}", sys.stderr) + first.removeprefix(kind), *more]
    sys.stderr.writelines(f"{line}\n" for line in lines)


def _columns(stream: TextIO) -> int | None:
    """How wide lines may be; None where nobody looks."""
    return shutil.get_terminal_size().columns if is_terminal(stream) else None


def _styled(text: str, code: str, stream: TextIO) -> str:
    """``text`` in the style of an ANSI code, where the stream shows styles."""
    if not is_terminal(stream) or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{code}m{text}\x1b[0m"


def _as_ours(message: str) -> str:
    """typer's sentence without its capital and its full stop."""
    return message[:1].lower() + message[1:].removesuffix(".")


def _usage_hint(exc: typer.TyperException) -> str:
    context = getattr(exc, "ctx", None)  # only usage errors have one
    return f"{context.command_path if context else 'edgekit'} --help shows the usage"


def _os_error(exc: OSError) -> str:
    if exc.errno == errno.ENOSPC and not exc.filename:
        return "cannot write the output: the disk is full"
    return f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc)
