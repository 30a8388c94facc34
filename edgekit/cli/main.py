"""``edgekit``: the commands by name, and the way from the arguments to an exit code.

A command's module is imported when that command runs, so that ``edgekit --help`` and the light commands
start at once.
"""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from edgekit import __version__
from edgekit.cli import console
from edgekit.errors import UnknownNameError

__all__ = ["COMMANDS", "Entry", "LazyGroup", "main"]


class Entry(NamedTuple):
    """Where a command is defined, as ``app`` of ``module``, and its line in ``edgekit --help``."""

    module: str
    summary: str


COMMANDS: dict[str, Entry] = {
    "models": Entry("edgekit.cli.models", "Networks by name: size, cost, published accuracy, weights."),
    "describe": Entry("edgekit.cli.describe", "A network layer by layer: shapes, memory, params, MACs."),
    "scale": Entry("edgekit.cli.scale", "The most accurate networks that budgets allow."),
    "check": Entry("edgekit.cli.check", "What of a model cannot be exported, before any work."),
    "export": Entry("edgekit.cli.export", "Make TFLite, ONNX and OpenVINO files of a model."),
    "evaluate": Entry("edgekit.cli.evaluate", "Accuracy of an exported file on labelled images."),
    "compare": Entry("edgekit.cli.compare", "How far an exported file agrees with another."),
    "benchmark": Entry("edgekit.cli.benchmark", "How long an inference takes, on this machine or a device."),
    "devices": Entry("edgekit.cli.devices", "Where files can be run, and whether that can be reached."),
    "profile": Entry("edgekit.cli.profile", "Where the time goes, by layers, against the machine's limits."),
    "report": Entry("edgekit.cli.report", "Measurements as one page: what to ship, and every number."),
    "stages": Entry("edgekit.cli.stages", "What each stage of int8 quantization buys on a model."),
    "calibration": Entry("edgekit.cli.calibration", "Recipes of calibration images."),
    "targets": Entry("edgekit.cli.targets", "What exports can be made for."),
    "doctor": Entry("edgekit.cli.doctor", "What this machine has, and what is missing."),
}


_TERMINATED = 143


class LazyGroup(TyperGroup):
    """Lists the commands from :data:`COMMANDS` and imports the one that is asked for.

    Contexts and formatters are ``Any``: typer does not export their classes.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            raise UnknownNameError("command", cmd_name, COMMANDS)
        command = typer.main.get_command(importlib.import_module(COMMANDS[cmd_name].module).app)
        command.name = cmd_name
        return command

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


app = console.new_app(cls=LazyGroup)


@app.callback(epilog="Every command has its own --help. Exit codes: 0 done, 1 a check failed, 2 bad input.")
def _edgekit(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            is_eager=True,
            callback=lambda asked: _show_version(asked),
            help="Show the version and exit.",
        ),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Mobile image networks: described, quantized to INT8, exported and checked."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. ``arguments`` are those of the process by default."""
    if arguments is None:
        # By default a process that is told to end does so at once, and leaves what it was writing.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    given = list(sys.argv[1:] if arguments is None else arguments)
    # --debug may stand anywhere; commands do not know it.
    rest = [argument for argument in given if argument != "--debug"]
    return console.guard(lambda: _invoke(rest or ["--help"]), debug=len(rest) < len(given))


def _invoke(arguments: list[str]) -> None:
    command = typer.main.get_command(app)
    # Not command(): that handles Ctrl-C, broken pipes and usage errors in its own way.
    with command.make_context("edgekit", arguments) as context:
        command.invoke(context)


def _show_version(asked: bool) -> None:
    if asked:
        console.print_line(f"edgekit {__version__}")
        raise typer.Exit
