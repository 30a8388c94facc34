"""What OpenVINO converts, and what it leaves behind where it cannot."""

from __future__ import annotations

import logging

import pytest
from onnx import TensorProto, helper

from edgekit.emit.openvino_conversion import convert
from edgekit.errors import UnsupportedError


def onnx_bytes(op_type: str, domain: str = "") -> bytes:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in "xy")
    graph = helper.make_graph([helper.make_node(op_type, ["x"], ["y"], domain=domain)], "net", [x], [y])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("custom", 1)]
    serialized: bytes = helper.make_model(graph, opset_imports=opsets).SerializeToString()
    return serialized


def test_names_of_tensors_are_kept() -> None:
    model = convert(onnx_bytes("Relu"))
    assert model.input(0).get_names() == {"x"}
    assert model.output(0).get_names() == {"y"}


def test_an_operator_that_openvino_lacks_is_named() -> None:
    with pytest.raises(UnsupportedError, match=r"custom\.Swirl"):
        convert(onnx_bytes("Swirl", "custom"))


def test_bytes_that_are_no_onnx_file_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="cannot convert"):
        convert(b"not a model")


def test_a_failed_conversion_leaves_logging_alone() -> None:
    root = logging.getLogger()
    before = root.level, list(root.filters), list(root.handlers)
    with pytest.raises(UnsupportedError):
        convert(onnx_bytes("Swirl", "custom"))
    assert (root.level, root.filters, root.handlers) == before
