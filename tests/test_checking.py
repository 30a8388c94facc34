"""What is said of a model before any work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit.checking import check
from edgekit.cli.main import main


def model_of(path: Path, *nodes: onnx.NodeProto, **constants: np.ndarray) -> Path:
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 8])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "c", "h", "w"])]
    tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(list(nodes), "net", inputs, outputs, tensors)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    path.write_bytes(proto.SerializeToString())
    return path


def test_a_model_that_can_be_made(tmp_path: Path) -> None:
    node = helper.make_node("Relu", ["x"], ["y"], "act")
    found = check(str(model_of(tmp_path / "good.onnx", node)))
    assert (found.passed, found.findings, found.transposes) == (True, (), 0)


def test_every_unknown_operator_is_named_with_advice(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Hardmax", ["x"], ["h"], "first"),
        helper.make_node("Det", ["h"], ["y"], "second"),
    ]
    found = check(str(model_of(tmp_path / "bad.onnx", *nodes)))
    assert not found.passed
    assert [(one.node, one.op_type) for one in found.findings] == [("first", "Hardmax"), ("second", "Det")]
    assert all(one.advice for one in found.findings)


def test_every_form_that_tflite_lacks_is_named(tmp_path: Path) -> None:
    scales = np.array([1, 1, 2, 2], np.float32)
    nodes = [
        helper.make_node("Resize", ["x", "", "scales"], ["a"], "up", mode="cubic"),
        helper.make_node("LRN", ["a"], ["y"], "norm", size=4),
    ]
    path = str(model_of(tmp_path / "forms.onnx", *nodes, scales=scales))
    found = check(path)
    assert [one.op_type for one in found.findings if one.kind == "refused"] == ["Resize", "LRN"]
    assert "cubic" in found.findings[0].reason
    assert check(path, "onnx").passed


def test_what_computes_in_float_is_told_and_passes(tmp_path: Path) -> None:
    node = helper.make_node("LRN", ["x"], ["y"], "norm", size=3)
    found = check(str(model_of(tmp_path / "lrn.onnx", node)))
    assert found.passed
    assert [(one.kind, one.op_type) for one in found.findings] == [("float", "LRN")]


@pytest.mark.parametrize(("op", "code"), [("Relu", 0), ("Hardmax", 1)])
def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str], op: str, code: int) -> None:
    path = model_of(tmp_path / "net.onnx", helper.make_node(op, ["x"], ["y"], "only"))
    assert main(["check", str(path), "--json"]) == code
    assert json.loads(capsys.readouterr().out)["passed"] == (code == 0)
    assert main(["check", str(path)]) == code
    assert op in capsys.readouterr().out or code == 0
