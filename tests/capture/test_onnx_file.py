"""A user's files: every opset comes in, and whatever is wrong is said, never a crash."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.checker
import onnx.parser
import onnx.version_converter
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import numpy_helper

from edgekit.capture import load_onnx
from edgekit.capture.opset import OLDEST_OPSET
from edgekit.errors import (
    EdgekitError,
    GraphError,
    InputError,
    ModelFileError,
    UnsupportedError,
    WeightsError,
)
from edgekit.graph.run import GraphRunner
from edgekit.graph.values import shape_of

RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((4, 3, 3, 3)).astype(np.float32)
LINEAR = RNG.standard_normal((4, 5)).astype(np.float32)

Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Write a graph in ONNX's text format, with constants, to a file."""

    def write(body: str, opset: int = 18, ir_version: int = 8, **constants: Any) -> Path:
        return save_model(tmp_path / "model.onnx", parsed(body, opset, ir_version, **constants))

    return write


def parsed(body: str, opset: int = 18, ir_version: int = 8, **constants: Any) -> onnx.ModelProto:
    text = f'<ir_version: {ir_version}, opset_import: ["": {opset}]> network {body}'
    proto = onnx.parser.parse_model(text)
    for name, array in constants.items():
        proto.graph.initializer.append(numpy_helper.from_array(np.asarray(array), name))
    return proto


def save_model(path: Path, proto: onnx.ModelProto) -> Path:
    path.write_bytes(proto.SerializeToString())
    return path


def assert_same_answer(path: Path, model: ir.Model) -> None:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    x = RNG.standard_normal(shape_of(model.graph.inputs[0])).astype(np.float32)
    (expected,) = session.run(None, {session.get_inputs()[0].name: x})
    (found,) = GraphRunner(model).run(x).values()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * float(np.abs(expected).max()))


def ops(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


NETWORK = (
    "(float[batch,3,8,8] x) => (float[batch,5] y) "
    "{{ c = Conv<pads=[1,1,1,1], strides=[2,2]>(x, w) r = {clip} d = {dropout} g = GlobalAveragePool(d) "
    "f = Flatten(g) m = MatMul(f, v) y = Softmax<axis=1>(m) }}"
)


@pytest.mark.parametrize("opset", range(OLDEST_OPSET, onnx.defs.onnx_opset_version() + 1))
def test_every_opset(save: Save, opset: int) -> None:
    clip = "Clip<min=0.0, max=6.0>(c)" if opset < 11 else "Clip(c, low, high)"
    dropout = "Dropout<ratio=0.5>(r)" if opset < 12 else "Dropout(r)"
    bounds = {} if opset < 11 else {"low": np.float32(0), "high": np.float32(6)}
    path = save(NETWORK.format(clip=clip, dropout=dropout), opset, w=WEIGHT, v=LINEAR, **bounds)
    model = load_onnx(path)
    assert ops(model) == ["Conv", "Clip", "GlobalAveragePool", "Flatten", "Gemm", "Softmax"]
    if opset <= 26:  # the newest that this onnxruntime reads
        assert_same_answer(path, model)


def test_old_files_list_weights_as_inputs(save: Save) -> None:
    body = "(float[1,3,8,8] x, float[4,3,3,3] w) => (float[1,4,6,6] y) { y = Conv(x, w) }"
    path = save(body, opset=9, ir_version=3, w=WEIGHT)
    model = load_onnx(path)
    assert [value.name for value in model.graph.inputs] == ["image"]
    assert_same_answer(path, model)


def test_old_files_may_not_list_them(save: Save) -> None:
    path = save("(float[1,3,8,8] x) => (float[1,4,6,6] y) { y = Conv(x, w) }", 9, 3, w=WEIGHT)
    assert ops(load_onnx(path)) == ["Conv"]


LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet", "inception_v1", "resnet50"])
def test_networks_of_the_onnx_package(name: str) -> None:
    path = LIGHT / f"light_{name}.onnx"
    assert_same_answer(path, load_onnx(path))


def test_local_functions_are_inlined(tmp_path: Path) -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 18, "local": 1]> '
        "network (float[1,4] x) => (float[1,4] y) { y = local.twice(x) } "
        '<domain: "local", opset_import: ["": 18]> twice (a) => (b) { c = Tanh(a) b = Add(c, c) }'
    )
    assert ops(load_onnx(save_model(tmp_path / "model.onnx", proto))) == ["Tanh", "Add"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/features/features.0/features.0.0/Conv", "features.0.0"),
        ("/conv1/Conv", "conv1"),
        ("Conv_12", "Conv_12"),
        ("model/block:1/conv", "model.block.1.conv"),
        ("", "output.value"),
    ],
)
def test_names_come_from_the_file(tmp_path: Path, name: str, expected: str) -> None:
    proto = parsed("(float[1,3,8,8] x) => (float[1,4,6,6] y) { v = Conv(x, w) y = Relu(v) }", w=WEIGHT)
    node, relu = proto.graph.node
    node.name = name
    node.output[0] = relu.input[0] = "output/value"
    model = load_onnx(save_model(tmp_path / "model.onnx", proto))
    assert model.graph[0].name == expected
    assert f"{expected}.weight" in model.graph.initializers


IMAGE_BODY = "({shape} x) => (float y) {{ r = Relu(x) y = GlobalAveragePool(r) }}"


def test_open_sizes(save: Save) -> None:
    path = save(IMAGE_BODY.format(shape="float[n,3,height,width]"))
    with pytest.raises(InputError, match="dimension 2 of input 'x' is open") as caught:
        load_onnx(path)
    assert "--resolution" in caught.value.hint
    assert shape_of(load_onnx(path, resolution=32).graph.inputs[0]) == (1, 3, 32, 32)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("float[4,3,8,8]", "fixed batch of 4"),
        ("uint8[1,3,8,8]", "expected float32"),
        ("double[1,3,8,8]", "expected float32"),
        ("float[1,c,8,8]", "dimension 1"),
        ("float", "batch dimension"),
    ],
)
def test_inputs_that_are_refused(save: Save, shape: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_onnx(save(IMAGE_BODY.format(shape=shape)))


@pytest.mark.parametrize(
    ("body", "constants", "message"),
    [
        ("(float[1,4,4] x) => (float[1] y) { y = Det(x) }", {}, r"Det.*'y'"),
        (
            "(float[1,4] x) => (float[n] y) { y = Compress<axis=1>(x, k) }",
            {"k": np.ones(4, bool)},
            "Compress",
        ),
        ("(float[1,4] x) => (float y) { n = NonZero(x) y = Cast<to=1>(n) }", {}, "NonZero"),
        (
            "(float[1,4] x) => (float[1,4] y) { q = QuantizeLinear(x, s, z) y = DequantizeLinear(q, s, z) }",
            {"s": np.float32(1), "z": np.int8(0)},
            "already quantized",
        ),
        (
            "(float[1,4] x) => (float[1,4] y) { y = If (c) "
            "<then_branch = a () => (t) { t = Relu(x) }, else_branch = b () => (e) { e = Tanh(x) }> }",
            {"c": np.array(True)},
            "control flow",
        ),
        (
            "(float[1,4] x) => (float[1,4] y) { y = Relu(k) }",
            {"k": np.ones((1, 4), np.float32)},
            "not depend",
        ),
        ("(float[1,4] x) => (float[1,4] y) { y = RandomNormalLike(x) }", {}, "RandomNormalLike"),
    ],
)
def test_what_has_no_canonical_form_is_named(
    save: Save, body: str, constants: dict[str, Any], message: str
) -> None:
    with pytest.raises(UnsupportedError, match=message):
        load_onnx(save(body, **constants))


def test_a_constant_of_packed_numbers_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """A few bytes may claim to be billions of numbers, which onnx makes room for."""
    proto = parsed("(float[1,4] x) => (float[1,4] y) { y = Add(x, k) }", k=np.ones(4, np.float32))
    constant = proto.graph.initializer[0]
    constant.data_type, constant.dims[0] = onnx.TensorProto.INT4, 2**31 - 1
    with pytest.raises(UnsupportedError, match="constant 'k' is stored as INT4"):
        load_onnx(save_model(tmp_path / "model.onnx", proto))


def test_foreign_domains_are_named(tmp_path: Path) -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 18, "com.microsoft": 1]> '
        "network (float[1,4] x) => (float[1,4] y) { y = com.microsoft.Gelu(x) }"
    )
    with pytest.raises(UnsupportedError, match=r"Gelu.*com\.microsoft"):
        load_onnx(save_model(tmp_path / "model.onnx", proto))


def test_a_newer_attribute_is_refused(save: Save) -> None:
    body = (
        "(float[1,3,8,8] x) => (float y) "
        "{ y = AveragePool<kernel_shape=[2,2], dilations=[DILATION,DILATION]>(x) }"
    )
    with pytest.raises(UnsupportedError, match="'dilations'"):
        load_onnx(save(body.replace("DILATION", "2"), opset=19))


@pytest.mark.parametrize("opset", [8, 99])
def test_other_opsets_are_refused(save: Save, opset: int) -> None:
    with pytest.raises(UnsupportedError, match=f"opset {opset}"):
        load_onnx(save("(float[1,4] x) => (float[1,4] y) { y = Relu(x) }", opset))


def test_weights_that_are_not_finite(save: Save) -> None:
    weight = WEIGHT.copy()
    weight[0, 0] = np.nan
    with pytest.raises(WeightsError, match=r"\.weight"):
        load_onnx(save("(float[1,3,8,8] x) => (float y) { y = Conv(x, w) }", w=weight))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04 a torch checkpoint", "zip archive"),
        (b"\x80\x02}q\x00.", "pickle"),
        (b"\x89PNG\r\n\x1a\n" + bytes(64), "not a valid ONNX model"),
        (b"hello world, this is a text file\n", "not a valid ONNX model"),
        (bytes(1000), "not a valid ONNX model"),
        (b"\x08\x08", "no graph"),
    ],
)
def test_files_that_are_not_onnx(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=message):
        load_onnx(path)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.onnx"):
        with pytest.raises(ModelFileError, match="cannot read"):
            load_onnx(path)


def external(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    proto = parsed("(float[1,3,8,8] x) => (float[1,4,6,6] y) { y = Conv(x, w) }", w=WEIGHT)
    onnx.save_model(proto, str(path), save_as_external_data=True, location="model.data", size_threshold=0)
    return path


def test_external_data(tmp_path: Path) -> None:
    path = external(tmp_path)
    assert_same_answer(path, load_onnx(path))
    (tmp_path / "model.data").unlink()
    with pytest.raises(ModelFileError, match="external data"):
        load_onnx(path)


def test_truncated_external_data(tmp_path: Path) -> None:
    path = external(tmp_path)
    data = tmp_path / "model.data"
    data.write_bytes(data.read_bytes()[:100])
    with pytest.raises(ModelFileError):
        load_onnx(path)


def network_bytes() -> bytes:
    proto = parsed(
        NETWORK.format(clip="Clip(c, low, high)", dropout="Identity(r)"),
        w=WEIGHT,
        v=LINEAR,
        low=np.float32(0),
        high=np.float32(6),
    )
    return bytes(proto.SerializeToString())


def test_truncated_files(tmp_path: Path) -> None:
    """Wherever a file is cut, the error is ours."""
    content, path = network_bytes(), tmp_path / "model.onnx"
    for size in range(1, len(content), max(len(content) // 60, 1)):
        path.write_bytes(content[:size])
        with pytest.raises(EdgekitError):
            load_onnx(path)


def test_damaged_files(tmp_path: Path) -> None:
    """Bytes changed at random give a graph or an error of ours."""
    content, path, rng = network_bytes(), tmp_path / "model.onnx", np.random.default_rng(0)
    outcomes: dict[type[EdgekitError], str] = {}
    for _ in range(200):
        damaged = bytearray(content)
        for position in rng.integers(0, len(content), rng.integers(1, 4)):
            damaged[position] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            load_onnx(path)
        except EdgekitError as error:
            outcomes[type(error)] = str(error)
    assert {ModelFileError, UnsupportedError} <= set(outcomes)
    assert GraphError not in outcomes, "a damaged file is not a defect of a pass"
