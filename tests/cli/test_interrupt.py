"""Ctrl-C in the middle of an export: a message, exit code 130, and nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ARGUMENTS = [
    *("export", "mobilenet_v2", "--width", "0.35", "--resolution", "96", "--weights", "random"),
    *("--precision", "fp32", "--target", "all", "-o", "out"),
]
GIVE_UP_SECONDS = 120.0


@pytest.mark.skipif(os.name == "nt", reason="Windows delivers Ctrl-C to the whole console")
@pytest.mark.parametrize("moment", ["out", "out/.edgekit-*/*.onnx"])
def test_ctrl_c_leaves_nothing(tmp_path: Path, moment: str) -> None:
    # A shell starts background jobs with Ctrl-C ignored, and a child inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [sys.executable, "-m", "edgekit", *ARGUMENTS],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_for(tmp_path, moment, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=GIVE_UP_SECONDS)
    assert (process.returncode, out) == (130, "")
    assert err == "error: interrupted, no partial file was left\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without asking it")
def test_sigterm_leaves_nothing(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-m", "edgekit", *ARGUMENTS], cwd=tmp_path) as process:
        wait_for(tmp_path, "out/.edgekit-*/*.onnx", process)
        process.terminate()
        assert process.wait(GIVE_UP_SECONDS) == 143
    assert list(tmp_path.iterdir()) == []


def wait_for(folder: Path, pattern: str, process: subprocess.Popen[Any]) -> None:
    """Until a path of that pattern is there."""
    end = time.monotonic() + GIVE_UP_SECONDS
    while not list(folder.glob(pattern)):
        assert process.poll() is None, "the export ended before it was interrupted"
        assert time.monotonic() < end
        time.sleep(0.002)
