"""One ``load`` for all runtimes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.errors import ModelFileError
from edgekit.runtimes import RUNTIMES, load


@pytest.mark.parametrize("suffix", RUNTIMES)
def test_missing_files_are_refused_by_every_runtime(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="is not a file") as caught:
        load(tmp_path / f"none{suffix}")
    assert caught.value.hint


@pytest.mark.parametrize("suffix", RUNTIMES)
def test_folders_are_refused_by_every_runtime(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(ModelFileError, match="is not a file"):
        load(tmp_path / f"folder{suffix}")


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"'.pt', expected one of .tflite, .onnx, .xml"):
        load(tmp_path / "net.pt")
    with pytest.raises(ModelFileError) as caught:
        load(str(tmp_path / "net.bin"))
    assert ".xml" in caught.value.hint


def test_no_runtime_is_imported_before_it_is_needed(checkout: Path) -> None:
    code = (
        "import sys, edgekit.runtimes; "
        "print([m for m in ('onnxruntime', 'openvino', 'ai_edge_litert', 'onnx') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
