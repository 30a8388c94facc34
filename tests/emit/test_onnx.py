"""ONNX files against the graph they render, run without any of onnxruntime's optimizations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
import pytest

import edgekit
from edgekit.emit import EmitOptions, emit
from edgekit.emit.base import OnnxOptions
from edgekit.errors import CheckError, OutputError, UnsupportedError
from edgekit.graph import qdq
from edgekit.graph.run import GraphRunner
from edgekit.options import IoType, Precision, Preprocessing
from edgekit.runtimes import load
from edgekit.runtimes.onnx_coverage import integer_coverage

FloatArray = npt.NDArray[np.float32]

IMAGES = np.random.default_rng(1).standard_normal((6, 3, 24, 24)).astype(np.float32)
RELATIVE_ERROR: dict[Precision, float] = {"fp32": 1e-6, "fp16": 2e-3, "dynamic": 5e-2}


def answers(path: Path, images: npt.NDArray[Any] = IMAGES) -> npt.NDArray[Any]:
    runner = load(path)
    return np.concatenate([runner.run(image[None]) for image in images])


def simulated(model: ir.Model) -> FloatArray:
    name = model.graph.outputs[0].name or ""
    return GraphRunner(model, optimize=False).run(IMAGES)[name]


def output_scale(quantized: ir.Model) -> float:
    found = qdq.dequantized_from(quantized.graph.outputs[0])
    assert found is not None
    return float(found.scale)


@pytest.fixture
def quantized(small_network: ir.Model, quantize_small: Any) -> ir.Model:
    model: ir.Model = quantize_small(small_network, IMAGES)
    return model


@pytest.mark.parametrize("precision", ["fp32", "fp16", "dynamic"])
def test_float_files_answer_like_the_graph(
    small_network: ir.Model, precision: Precision, tmp_path: Path
) -> None:
    want = simulated(small_network)
    emit(small_network, tmp_path / "net.onnx", "onnx", EmitOptions(precision))
    error = np.abs(answers(tmp_path / "net.onnx") - want).max() / np.abs(want).max()
    assert error < RELATIVE_ERROR[precision]


@pytest.mark.parametrize(("precision", "bytes_a_weight"), [("fp16", 2), ("dynamic", 1)])
def test_stored_weights_are_small(
    new_graph: Any, precision: Precision, bytes_a_weight: int, tmp_path: Path
) -> None:
    builder = new_graph([1, 3, 24, 24])
    x = builder.conv(builder.conv(builder.image, 256), 256)
    emitted = emit(builder.model(x), tmp_path / "net.onnx", "onnx", EmitOptions(precision))
    weights = 9 * 256 * (3 + 256)
    assert weights * bytes_a_weight < emitted.size_bytes < 1.05 * weights * bytes_a_weight
    assert emitted.size_bytes == emitted.path.stat().st_size


def test_int8_files_run_in_integers_only(quantized: ir.Model, tmp_path: Path) -> None:
    emit(quantized, tmp_path / "net.onnx", "onnx", EmitOptions("int8"))
    coverage = integer_coverage(tmp_path / "net.onnx")
    assert coverage.is_complete, coverage
    assert coverage.boundary_conversions == 2


def test_signed_activations_run_in_integers_on_arm(quantized: ir.Model, tmp_path: Path) -> None:
    options = EmitOptions("int8", onnx=OnnxOptions("int8"))
    emitted = emit(quantized, tmp_path / "net.onnx", "onnx", options)
    assert integer_coverage(tmp_path / "net.onnx", as_on_arm=True).is_complete
    assert "uint8" not in emitted.dtypes
    assert emitted.details["activation_type"] == "int8"


def test_int8_files_answer_like_the_quantized_graph(quantized: ir.Model, tmp_path: Path) -> None:
    emit(quantized, tmp_path / "net.onnx", "onnx", EmitOptions("int8"))
    steps = np.abs(answers(tmp_path / "net.onnx") - simulated(quantized)) / output_scale(quantized)
    assert steps.max() < 4.5  # kernels round their last bit otherwise, layer after layer
    assert steps.mean() < 1


@pytest.mark.parametrize("input_type", ["int8", "uint8"])
@pytest.mark.parametrize("output_type", ["float32", "int8", "uint8"])
def test_integer_io_is_the_same_network(
    quantized: ir.Model, input_type: IoType, output_type: IoType, tmp_path: Path
) -> None:
    emit(quantized, tmp_path / "float.onnx", "onnx", EmitOptions("int8"))
    options = EmitOptions("int8", input_type=input_type, output_type=output_type)
    emitted = emit(quantized, tmp_path / "net.onnx", "onnx", options)
    source, result = emitted.input, emitted.output
    assert (source.name, source.dtype, result.name, result.dtype) == (
        "image",
        input_type,
        "logits",
        output_type,
    )
    port = load(emitted.path).input
    assert (port.dtype, port.scale, port.zero_point) == (input_type, source.scale, source.zero_point)
    assert source.scale is not None
    assert source.zero_point is not None
    limits = np.iinfo(input_type)
    steps = np.rint(IMAGES / np.float32(source.scale)) + source.zero_point
    got = answers(emitted.path, np.clip(steps, limits.min, limits.max).astype(input_type))
    assert got.dtype == output_type
    if result.scale is not None and result.zero_point is not None:
        got = (got.astype(np.float32) - result.zero_point) * np.float32(result.scale)
    assert got == pytest.approx(answers(tmp_path / "float.onnx"), abs=1e-6)
    assert not integer_coverage(emitted.path).float_ops


def test_files_are_valid_and_old_enough(quantized: ir.Model, tmp_path: Path) -> None:
    emitted = emit(quantized, tmp_path / "net.onnx", "onnx", EmitOptions("int8", name="small"))
    proto = onnx.load(str(emitted.path))
    onnx.checker.check_model(proto, full_check=True)
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 18)]
    assert emitted.details["opset"] == 18
    assert proto.ir_version == 8  # ONNX 1.13, the first release with opset 18
    assert (proto.graph.name, proto.producer_name) == ("small", "edgekit")
    assert proto.producer_version == edgekit.__version__


def test_the_census_of_an_int8_file_has_float_ends_only(quantized: ir.Model, tmp_path: Path) -> None:
    emitted = emit(quantized, tmp_path / "net.onnx", "onnx", EmitOptions("int8"))
    assert emitted.dtypes["float32"] == 2
    options = EmitOptions("int8", input_type="uint8", output_type="uint8")
    integer = emit(quantized, tmp_path / "net.onnx", "onnx", options)
    assert integer.dtypes.keys() == {"uint8", "int8", "int32"}
    assert integer.dtypes["int8"] == integer.dtypes["int32"]  # one weight, one bias a layer


def test_an_unquantized_graph_is_not_int8(small_network: ir.Model, tmp_path: Path) -> None:
    with pytest.raises(CheckError, match="float tensors in an int8 file"):
        emit(small_network, tmp_path / "net.onnx", "onnx", EmitOptions("int8"))
    assert not list(tmp_path.iterdir())


def test_one_layer_left_in_float_is_named(quantized: ir.Model, tmp_path: Path) -> None:
    conv = next(node for node in quantized.graph if node.op_type == "Conv")
    dequantize = conv.inputs[0].producer()  # type: ignore[union-attr]
    conv.replace_input_with(0, quantized.graph.inputs[0])
    weight = conv.inputs[1].producer()  # type: ignore[union-attr]
    assert dequantize is not None
    assert weight is not None
    integers, scale = qdq.constant(weight.inputs[0]), qdq.constant(weight.inputs[1])
    assert integers is not None
    assert scale is not None
    real = (integers * scale.reshape(-1, 1, 1, 1)).astype(np.float32)  # type: ignore[operator]
    value = ir.val("float_weight", const_value=ir.tensor(real, name="float_weight"))
    quantized.graph.register_initializer(value)
    conv.replace_input_with(1, value)
    with pytest.raises(CheckError, match="float_weight"):
        emit(quantized, tmp_path / "net.onnx", "onnx", EmitOptions("int8"))


def test_integer_io_needs_int8(small_network: ir.Model, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="need precision int8"):
        emit(small_network, tmp_path / "net.onnx", "onnx", EmitOptions("fp16", input_type="uint8"))


def test_weights_beyond_float16_are_refused(new_graph: Any, tmp_path: Path) -> None:
    builder = new_graph([1, 3, 8, 8])
    bias = np.array([1e5, 0], np.float32)
    attributes = {"kernel_shape": [1, 1], "strides": [1, 1], "pads": [0] * 4, "dilations": [1, 1], "group": 1}
    x = builder.op("Conv", builder.image, builder.normal(2, 3, 1, 1), bias, **attributes)
    with pytest.raises(CheckError, match="beyond float16"):
        emit(builder.model(x), tmp_path / "net.onnx", "onnx", EmitOptions("fp16"))


def test_metadata_is_in_the_file(quantized: ir.Model, tmp_path: Path) -> None:
    labels = tuple(f"label {i}" for i in range(10))
    preprocessing = Preprocessing(crop=24)
    options = EmitOptions("int8", labels=labels, preprocessing=preprocessing, description="ten classes")
    emitted = emit(quantized, tmp_path / "net.onnx", "onnx", options)
    proto = onnx.load(str(emitted.path))
    metadata = {entry.key: json.loads(entry.value) for entry in proto.metadata_props}
    assert proto.doc_string == "ten classes"
    assert metadata["labels"] == list(labels)
    assert metadata["preprocessing"]["mean"] == list(preprocessing.mean)
    with pytest.raises(UnsupportedError, match="3 labels for 10 outputs"):
        emit(quantized, tmp_path / "net.onnx", "onnx", EmitOptions("int8", labels=labels[:3]))


def test_the_graph_is_not_changed_and_files_repeat(quantized: ir.Model, tmp_path: Path) -> None:
    before = ir.to_proto(quantized).SerializeToString(deterministic=True)
    options = EmitOptions("int8", input_type="uint8")
    first = emit(quantized, tmp_path / "a.onnx", "onnx", options)
    assert ir.to_proto(quantized).SerializeToString(deterministic=True) == before
    assert emit(quantized, tmp_path / "b.onnx", "onnx", options).sha256 == first.sha256


def test_an_unwritable_folder_is_an_error(small_network: ir.Model, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError):
        emit(small_network, tmp_path / "file" / "net.onnx", "onnx", EmitOptions())
