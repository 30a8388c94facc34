"""One small classifier as each opset writes it: attributes that became inputs, operators renamed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgekit
from edgekit.capture import load_onnx
from edgekit.capture.opset import OLDEST_OPSET
from edgekit.emit import EmitOptions, emit
from edgekit.options import ExportOptions
from edgekit.runtimes import load

FloatArray = npt.NDArray[np.float32]

IMAGE = np.random.default_rng(1).standard_normal((1, 3, 16, 16)).astype(np.float32)
NEWEST_OPSET = onnx.defs.onnx_opset_version()
_REFERENCE_OPSET = 18
"""In which onnxruntime, that lags behind onnx, runs the network that all the files are."""


class _Writer:
    """Nodes of one opset; what that opset wants as inputs becomes initializers."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.random = np.random.default_rng(0)
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: list[TensorProto] = []

    def constant(self, array: npt.ArrayLike) -> str:
        name = f"constant{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weight(self, *shape: int) -> str:
        spread = float(np.prod(shape[1:])) ** -0.5 if len(shape) > 1 else 0.1
        return self.constant((spread * self.random.standard_normal(shape)).astype(np.float32))

    def op(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        name = f"{op_type.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, inputs, [name], name, **attributes))
        return name

    def either(self, since: int, op_type: str, x: str, name: str, value: npt.ArrayLike, **more: Any) -> str:
        """An operator that takes ``value`` as an input since one opset, and as an attribute before."""
        if self.opset >= since:
            return self.op(op_type, x, self.constant(value), **more)
        return self.op(op_type, x, **{name: np.asarray(value).tolist()}, **more)


def _classifier(opset: int) -> onnx.ModelProto:
    write = _Writer(opset)
    x = write.either(11, "Pad", "x", "pads", np.array([0, 0, 1, 1, 0, 0, 1, 1]))
    x = write.op("Conv", x, write.weight(8, 3, 3, 3), write.weight(8), strides=[2, 2])
    positive = write.constant(np.linspace(0.5, 1.5, 8, dtype=np.float32))
    x = write.op("BatchNormalization", x, positive, write.weight(8), write.weight(8), positive)
    x = _clip(write, x)
    x = write.op("Concat", _part(write, x), write.op("Relu", x), axis=1)
    x = _upsample(write, x)
    x = write.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    mean = write.either(18, "ReduceMean", x, "axes", np.array([2, 3]), keepdims=1)
    mean = write.either(13, "Squeeze", mean, "axes", np.array([2, 3]))
    mean = write.either(13, "Unsqueeze", mean, "axes", np.array([2, 3]))
    mean = write.either(12, "Dropout", mean, "ratio", np.float32(0.5))
    x = write.op("Flatten", write.op("Concat", mean, write.op("GlobalMaxPool", x), axis=1))
    x = write.op("Gemm", x, write.weight(5, 24), write.weight(5), transB=1)
    x = write.op("Softmax", x, **({"axis": 1} if opset < 13 else {}))
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 16, 16])
    output = helper.make_tensor_value_info(x, TensorProto.FLOAT, ["batch", 5])
    graph = helper.make_graph(write.nodes, "classifier", [image], [output], write.tensors)
    imports = [helper.make_opsetid("", opset)]
    version = helper.find_min_ir_version_for(imports, ignore_unknown=True)
    return helper.make_model(graph, opset_imports=imports, ir_version=max(version, 4))


def _clip(write: _Writer, x: str) -> str:
    if write.opset < 11:
        return write.op("Clip", x, min=0.0, max=6.0)
    return write.op("Clip", x, write.constant(np.float32(0)), write.constant(np.float32(6)))


def _part(write: _Writer, x: str) -> str:
    """Half of the channels."""
    if write.opset < 10:
        return write.op("Slice", x, starts=[0], ends=[4], axes=[1])
    return write.op("Slice", x, *(write.constant(np.array([number])) for number in (0, 4, 1)))


def _upsample(write: _Writer, x: str) -> str:
    scales = write.constant(np.array([1, 1, 2, 2], np.float32))
    if write.opset < 11:
        return write.op("Upsample" if write.opset == 9 else "Resize", x, scales, mode="linear")
    region = write.constant(np.zeros(0, np.float32)) if write.opset < 13 else ""
    corners = {"coordinate_transformation_mode": "asymmetric"}
    return write.op("Resize", x, region, scales, mode="linear", **corners)


@pytest.fixture(scope="module")
def answers() -> FloatArray:
    """onnxruntime's, to the image."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    content = _classifier(_REFERENCE_OPSET).SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": IMAGE})[0], np.float32)


@pytest.mark.parametrize("opset", range(OLDEST_OPSET, NEWEST_OPSET + 1))
def test_a_file_of_any_opset_is_the_same_network(tmp_path: Path, opset: int, answers: FloatArray) -> None:
    file = tmp_path / "classifier.onnx"
    onnx.save(_classifier(opset), file)
    onnx.checker.check_model(str(file), full_check=True)
    emitted = emit(load_onnx(file), tmp_path / "net.tflite", "tflite", EmitOptions())
    found = load(emitted.path).run(IMAGE.transpose(0, 2, 3, 1))
    np.testing.assert_allclose(np.asarray(found, np.float32), answers, atol=1e-6)


@pytest.mark.parametrize("opset", [OLDEST_OPSET, NEWEST_OPSET])
def test_the_oldest_and_the_newest_export_to_every_format(tmp_path: Path, opset: int) -> None:
    file = tmp_path / "classifier.onnx"
    onnx.save(_classifier(opset), file)
    result = edgekit.export(str(file), ExportOptions("all", "int8", tmp_path / "out", samples=4))
    assert min(artifact.parity.sqnr_db for artifact in result.artifacts) > 20
