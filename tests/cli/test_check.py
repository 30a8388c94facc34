"""``edgekit check``: what it prints of what it found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import edgekit
from edgekit.checking import Check, Finding

Run = Callable[..., Any]


def found(*findings: Finding) -> Callable[..., Check]:
    return lambda *given: Check("net.onnx", "tflite", findings, len(findings))


def test_nodes_that_are_refused_for_one_reason_are_one_row(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    resize = [Finding("refused", f"up{index}", "Resize", "mode cubic", "use linear") for index in range(3)]
    other = Finding("refused", "odd", "Custom", "unknown", "replace it")
    monkeypatch.setattr(edgekit, "check", found(resize[0], other, *resize[1:]), raising=False)
    done = run("check", "net.onnx")
    assert done.code == 1
    assert done.out.splitlines() == [
        "node              operator  why not     what to do",
        "up0 and 2 others  Resize    mode cubic  use linear",
        "odd               Custom    unknown     replace it",
        "",
        "net.onnx cannot be exported for tflite.",
    ]


@pytest.mark.parametrize(
    ("number", "said"), [(1, "1 operator computes in float32"), (2, "2 operators compute in float32")]
)
def test_operators_left_in_float_are_counted(
    number: int, said: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    floats = [Finding("float", f"lrn{index}", "LRN", "", "") for index in range(number)]
    monkeypatch.setattr(edgekit, "check", found(*floats), raising=False)
    done = run("check", "net.onnx")
    assert done.code == 0
    assert f"In an int8 file {said}: LRN." in done.out
