"""The frame of all commands: help, names, exit codes, and how fast it is there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgekit
from edgekit.cli.main import COMMANDS

HELP_SECONDS = 0.5
LIGHT_SECONDS = 0.8
"""Of processor time, twice what an idle machine needs: importing a framework takes several times that."""


def processor_seconds(*arguments: str) -> float:
    """Least of five runs: user and system time, which other programs on the machine disturb little."""
    times = []
    for _ in range(5):
        before = os.times()
        subprocess.run([sys.executable, "-m", "edgekit", *arguments], check=True, capture_output=True)
        after = os.times()
        times.append(
            after.children_user - before.children_user + after.children_system - before.children_system
        )
    return min(times)


def test_help_lists_every_command_with_its_summary(run: Callable[..., Any]) -> None:
    done = run("--help")
    assert (done.code, done.err) == (0, "")
    for name, entry in COMMANDS.items():
        assert name in done.out
        assert entry.summary in done.out


def test_without_arguments_it_is_the_help(run: Callable[..., Any]) -> None:
    assert run() == run("--help") == run("-h")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(run: Callable[..., Any], name: str) -> None:
    done = run(name, "--help")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"Usage: edgekit {name} ")


def test_version(run: Callable[..., Any]) -> None:
    assert run("--version").out == f"edgekit {edgekit.__version__}\n"


def test_an_unknown_command_offers_the_nearest(run: Callable[..., Any]) -> None:
    done = run("exprot")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: unknown command 'exprot'\nhint: did you mean export")


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["describe"], "missing argument 'MODEL'", "edgekit describe --help"),
        (["describe", "mobilenet_v2", "--widht", "2"], "--widht", "edgekit describe --help"),
        (["describe", "mobilenet_v2", "--width", "wide"], "'--width'", "edgekit describe --help"),
        (["describe", "mobilenet_v2", "--width", "0"], "width is 0.0", ""),
        (["describe", "mobilnet_v2"], "unknown model 'mobilnet_v2'", "did you mean mobilenet_v2"),
        (["targets"], "missing command", "edgekit targets --help"),
        (["targets", "show", "hots"], "unknown target 'hots'", "did you mean host"),
        (["--verbose"], "no such option: --verbose", "edgekit --help"),
    ],
)
def test_bad_usage_is_one_error_and_a_hint(
    run: Callable[..., Any], arguments: list[str], message: str, hint: str
) -> None:
    done = run(*arguments)
    assert (done.code, done.out) == (2, "")
    first, *rest = done.err.splitlines()
    assert first.startswith("error: ")
    assert message in first
    assert [line.startswith("hint: ") and hint in line for line in rest] == ([True] if hint else [])


@pytest.mark.parametrize("place", [0, 1, 2, 3])
def test_debug_shows_the_traceback_wherever_it_stands(run: Callable[..., Any], place: int) -> None:
    arguments = ["targets", "show", "hots"]
    arguments.insert(place, "--debug")
    done = run(*arguments)
    assert done.code == 2
    assert done.err.startswith("Traceback (most recent call last):")
    assert "\nerror: unknown target 'hots'\nhint: " in done.err


def test_python_m_edgekit_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "edgekit", "exprot"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "error: unknown command 'exprot'")


def test_help_is_there_at_once() -> None:
    assert processor_seconds("--help") < HELP_SECONDS


@pytest.mark.parametrize("arguments", [["models"], ["describe", "efficientnet_b7"]], ids=" ".join)
def test_light_commands_are_there_at_once(arguments: list[str]) -> None:
    assert processor_seconds(*arguments) < LIGHT_SECONDS


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGPIPE convention")
def test_a_reader_that_goes_away_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "edgekit", "describe", "efficientnet_b7"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_behind_stdout_is_an_error() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "edgekit", "models"], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (done.returncode, done.stderr) == (2, b"error: cannot write the output: the disk is full\n")
