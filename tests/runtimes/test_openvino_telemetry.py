"""OpenVINO does not report what edgekit does with it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.runtimes.openvino_telemetry import unreported

CI_SWITCHES = ("CI", "TF_BUILD", "JENKINS_URL")
CONVERSION = """
import onnx
from onnx import TensorProto, helper
from edgekit.emit.openvino_conversion import convert

value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in "xy"]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "net", value[:1], value[1:])
convert(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString())

import openvino_telemetry
print(openvino_telemetry.Telemetry().consent)
"""


def test_importing_and_converting_report_nothing(tmp_path: Path) -> None:
    """For a user who never chose, which OpenVINO takes for consent."""
    home = {name: str(tmp_path) for name in ("HOME", "USERPROFILE", "LOCALAPPDATA")}
    environment = {name: value for name, value in os.environ.items() if name not in CI_SWITCHES} | home
    done = subprocess.run(
        [sys.executable, "-c", CONVERSION], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("before", [None, "false"])
def test_the_environment_is_as_before(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    if before is None:
        monkeypatch.delenv("CI", raising=False)
    else:
        monkeypatch.setenv("CI", before)
    with unreported():
        assert os.environ["CI"] == "true"
    assert os.environ.get("CI") == before
