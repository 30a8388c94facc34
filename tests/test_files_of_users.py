"""ONNX files as users have them, small: each in every format and in int8, against onnxruntime on the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnx.parser
import onnxruntime
import pytest
from onnx import numpy_helper

import edgekit
from edgekit import runtimes
from edgekit.errors import UnsupportedError
from edgekit.options import ExportOptions

FloatArray = npt.NDArray[np.float32]

_RANDOM = np.random.default_rng(0)


def _normal(*shape: int) -> FloatArray:
    spread = float(np.prod(shape[1:])) ** -0.5 if len(shape) > 1 else 0.1
    return (spread * _RANDOM.standard_normal(shape)).astype(np.float32)


CONSTANTS: dict[str, npt.NDArray[np.generic]] = {
    "w": _normal(8, 3, 3, 3),
    "b": _normal(8),
    "dw": _normal(8, 1, 3, 3),
    "m": _normal(8, 5),
    "r": _normal(256, 5),
    "half": np.asarray(0.5, np.float32),
    "low": np.asarray(-0.2, np.float32),
    "scales": np.array([1, 1, 2, 2], np.float32),
    "bgr": np.array([2, 1, 0]),
    "none": np.zeros(0, np.float32),
    "sizes": np.array([1, 8, 32, 24]),
    "second": np.array([1]),
    "rows": np.array([8, 1]),
    "factor": np.linspace(0.5, 1.5, 8, dtype=np.float32).reshape(1, 1, 1, 8),
    "positive": np.linspace(0.5, 1.5, 8, dtype=np.float32),
}
"""Read by name; a file has those that its nodes name."""

_CONV = "c = Conv<pads=[1,1,1,1]>(x, w, b)"
_NCHW = "float[N,3,16,16] x"

FILES: dict[str, tuple[int, str]] = {
    "channels last": (
        13,
        "(float[N,16,16,3] x) => (float y) { t = Transpose<perm=[0,3,1,2]>(x)"
        " c = Conv<strides=[2,2]>(t, w, b) d = Transpose<perm=[0,2,3,1]>(c)"
        " e = Mul(d, factor) f = Relu(e) g = Transpose<perm=[0,3,1,2]>(f)"
        " h = Conv<group=8>(g, dw) i = Transpose<perm=[0,2,3,1]>(h)"
        " j = ReduceMean<axes=[1,2], keepdims=0>(i) k = MatMul(j, m) y = Softmax<axis=-1>(k) }",
    ),
    "resize of opset 10": (10, f'({_NCHW}) => (float y) {{ {_CONV} y = Resize<mode="linear">(c, scales) }}'),
    "choices": (
        18,
        f"({_NCHW}) => (float y) {{ {_CONV} g = Greater(c, half) n = Not(g) l = LessOrEqual(c, low)"
        " o = Or(g, l) h = Where(o, c, half) f = Cast<to=1>(n) y = Mul(h, f) }",
    ),
    "threshold": (18, f"({_NCHW}) => (float y) {{ {_CONV} y = ThresholdedRelu<alpha=0.3>(c) }}"),
    "dilated pool": (
        18,
        f"({_NCHW}) => (float y) {{ {_CONV} y = MaxPool<kernel_shape=[3,2], dilations=[2,3], strides=[2,1],"
        " pads=[2,1,2,1]>(c) }",
    ),
    "average of signed numbers and padding": (
        18,
        f"({_NCHW}) => (float y) {{ {_CONV} y = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1],"
        " count_include_pad=1>(c) }",
    ),
    "outputs twice": (
        18,
        f"({_NCHW}) => (float y, float z, float c) {{ {_CONV} y = Identity(c) z = Identity(x) }}",
    ),
    "no batch": (
        18,
        f"({_NCHW}) => (float y) {{ {_CONV} g = GlobalAveragePool(c) s = Squeeze(g) y = MatMul(s, m) }}",
    ),
    "one number": (18, f"({_NCHW}) => (float y) {{ {_CONV} y = ReduceMax<keepdims=0>(c) }}"),
    "rows": (
        18,
        f"({_NCHW}) => (float y) {{ {_CONV} f = Flatten<axis=2>(c) y = Gemm<alpha=0.5>(f, r) }}",
    ),
    "sizes without scales": (
        13,
        f"({_NCHW}) => (float y) {{ {_CONV}"
        ' y = Resize<mode="nearest", coordinate_transformation_mode="asymmetric">(c, none, none, sizes) }',
    ),
    "classes of pixels": (
        13,
        f"({_NCHW}) => (uint8 y) {{ {_CONV} a = ArgMax<axis=1>(c) s = Squeeze(a, second)"
        " y = Cast<to=2>(s) }",
    ),
    "colors swapped": (18, f"({_NCHW}) => (float c) {{ s = Gather<axis=1>(x, bgr) c = Conv(s, w, b) }}"),
}


REFUSED: dict[str, tuple[int, str, str]] = {
    "training": (
        11,
        f"({_NCHW}) => (float n) {{ {_CONV} n, p, q, s, t = BatchNormalization(c, b, b, b, positive) }}",
        "training mode",
    ),
    "indices": (
        18,
        f"({_NCHW}) => (float y, int64 i) {{ {_CONV} y, i = MaxPool<kernel_shape=[2,2]>(c) }}",
        "2 outputs",
    ),
    "ranking": (18, f"({_NCHW}) => (float y) {{ {_CONV} y, i = TopK(c, rows) }}", "TopK"),
    "too many classes": (
        18,
        f"({_NCHW}) => (int8 y) {{ {_CONV} e = Concat<axis=1>({', '.join('c' * 17)})"
        " a = ArgMax<axis=1>(e) y = Cast<to=3>(a) }",
        "Cast",
    ),
    "computed bias": (
        13,
        f"(float[1,3,16,16] x) => (float y) {{ {_CONV} e = ReduceMean<axes=[0,2,3], keepdims=0>(c)"
        " y = Conv(x, w, e) }",
        "the bias must be a constant",
    ),
    "output without input": (
        18,
        f"({_NCHW}) => (float y, float w) {{ {_CONV} y = Relu(c) }}",
        "does not depend on the input",
    ),
    "output twice": (18, f"({_NCHW}) => (float y, float y) {{ {_CONV} y = Relu(c) }}", "given twice"),
    "computed weight": (
        18,
        f"({_NCHW}) => (float y) {{ g = GlobalAveragePool(x) v = Mul(w, g) y = Conv(x, v) }}",
        "weight must be a constant",
    ),
}


def _write(path: Path, opset: int, body: str) -> Path:
    """The file, whose outputs state no shape, and which names a domain that it does not use."""
    imports = f'"": {opset}, "com.microsoft": 1'
    model = onnx.parser.parse_model(f"<ir_version: 8, opset_import: [{imports}]> network {body}")
    used = {name for node in model.graph.node for name in node.input}
    for name, array in CONSTANTS.items():
        if name in used:
            model.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    path.write_bytes(model.SerializeToString())
    return path


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", FILES)
def test_every_format_answers_as_onnxruntime_does(tmp_path: Path, name: str) -> None:
    path = _write(tmp_path / "net.onnx", *FILES[name])
    session = _session(path)
    shape = [1, *session.get_inputs()[0].shape[1:]]
    image = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    wanted = np.concatenate([np.asarray(array).reshape(-1) for array in session.run(None, {"x": image})])
    result = edgekit.export(str(path), ExportOptions("all", "fp32", tmp_path / "out"))
    for artifact in result.artifacts:
        runner = runtimes.load(artifact.path)
        fed = image if runner.input.shape == image.shape else image.transpose(0, 2, 3, 1)
        answers = runner.run_named({runner.input.name: fed})
        specs = (artifact.output, *artifact.more_outputs)
        parts = [_in_graph_order(np.asarray(answers[spec.name]), spec.layout) for spec in specs]
        found = np.concatenate([part.reshape(-1) for part in parts])
        np.testing.assert_allclose(found, wanted, atol=1e-5 * float(np.abs(wanted).max()))


def _in_graph_order(array: npt.NDArray[np.generic], layout: str) -> npt.NDArray[np.generic]:
    return array.transpose(0, 3, 1, 2) if layout == "NHWC" else array


@pytest.mark.parametrize("name", FILES)
def test_int8_files_agree(tmp_path: Path, name: str) -> None:
    path = _write(tmp_path / "net.onnx", *FILES[name])
    result = edgekit.export(str(path), ExportOptions("all", "int8", tmp_path / "out", samples=4))
    levels = {artifact.format: artifact.parity.sqnr_db for artifact in result.artifacts}
    assert min(levels.values()) > 12, levels
    assert abs(levels["tflite"] - levels["onnx"]) < 6, levels
    # OpenVINO does not round float32 answers, and is the better where that makes most of the noise.
    assert levels["openvino"] > levels["onnx"] - 6, levels


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_made_is_named(tmp_path: Path, name: str) -> None:
    opset, body, message = REFUSED[name]
    path = _write(tmp_path / "net.onnx", opset, body)
    with pytest.raises(UnsupportedError, match=message) as caught:
        edgekit.export(str(path), ExportOptions("tflite", "fp32", tmp_path / "out"))
    assert any(what in str(caught.value) for what in ("node", "graph output"))
    assert caught.value.hint


def test_half_precision_is_widened(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "net.onnx", 18, f"(float16[N,3,16,16] x) => (float16 y) {{ {_CONV} y = Relu(c) }}"
    )
    model = onnx.load(str(path))
    for tensor in model.graph.initializer:
        tensor.CopyFrom(
            numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name)
        )
    onnx.save(model, path)
    image = np.random.default_rng(1).standard_normal((1, 3, 16, 16)).astype(np.float16)
    (wanted,) = _session(path).run(None, {"x": image})
    (artifact,) = edgekit.export(str(path), ExportOptions("tflite", "fp32", tmp_path / "out")).artifacts
    found = runtimes.load(artifact.path).run(image.transpose(0, 2, 3, 1).astype(np.float32))
    np.testing.assert_allclose(np.asarray(found).transpose(0, 3, 1, 2), wanted, atol=2e-3)
