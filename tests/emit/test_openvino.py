"""OpenVINO files against the graph they render, run by onnxruntime without its optimizations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import openvino
import pytest

from edgekit.emit import EmitOptions, emit
from edgekit.errors import CheckError, OutputError, UnsupportedError
from edgekit.graph import qdq
from edgekit.graph.run import GraphRunner
from edgekit.options import IoType, Precision, Preprocessing
from edgekit.runtimes import load
from edgekit.runtimes.openvino import integer_coverage

FloatArray = npt.NDArray[np.float32]

IMAGES = np.random.default_rng(1).standard_normal((6, 3, 24, 24)).astype(np.float32)
RELATIVE_ERROR: dict[Precision, float] = {"fp32": 1e-5, "fp16": 2e-3, "dynamic": 5e-2}


def answers(path: Path, images: npt.NDArray[Any] = IMAGES) -> npt.NDArray[Any]:
    runner = load(path)
    return np.concatenate([runner.run(image[None]) for image in images])


def simulated(model: ir.Model) -> FloatArray:
    name = model.graph.outputs[0].name or ""
    return GraphRunner(model, optimize=False).run(IMAGES)[name]


@pytest.fixture
def quantized(small_network: ir.Model, quantize_small: Any) -> ir.Model:
    model: ir.Model = quantize_small(small_network, IMAGES)
    return model


@pytest.mark.parametrize("precision", ["fp32", "fp16", "dynamic"])
def test_float_files_answer_like_the_graph(
    small_network: ir.Model, precision: Precision, tmp_path: Path
) -> None:
    want = simulated(small_network)
    emit(small_network, tmp_path / "net.xml", "openvino", EmitOptions(precision))
    error = np.abs(answers(tmp_path / "net.xml") - want).max() / np.abs(want).max()
    assert error < RELATIVE_ERROR[precision]


@pytest.mark.parametrize(
    ("precision", "dtype", "bytes_a_weight"),
    [("fp32", "float32", 4), ("fp16", "float16", 2), ("dynamic", "int8", 1)],
)
def test_weights_have_the_dtype_of_the_precision(
    new_graph: Any, precision: Precision, dtype: str, bytes_a_weight: int, tmp_path: Path
) -> None:
    builder = new_graph([1, 3, 24, 24])
    model = builder.model(builder.conv(builder.conv(builder.image, 256), 256))
    emitted = emit(model, tmp_path / "net.xml", "openvino", EmitOptions(precision))
    weights = 9 * 256 * (3 + 256) * bytes_a_weight
    stored = emitted.details["weights_size_bytes"]
    assert isinstance(stored, int)
    assert weights < stored < 1.02 * weights
    assert emitted.size_bytes == stored + emitted.path.stat().st_size
    assert emitted.dtypes[dtype] >= 2


def test_int8_files_run_in_integers_only(quantized: ir.Model, tmp_path: Path) -> None:
    emitted = emit(quantized, tmp_path / "net.xml", "openvino", EmitOptions("int8"))
    coverage = integer_coverage(emitted.path)
    assert coverage.is_complete, coverage
    layers = sum(node.op_type in ("Conv", "Gemm") for node in quantized.graph)
    assert coverage.integer_ops["Convolution"] + coverage.integer_ops.get("FullyConnected", 0) == layers
    assert (emitted.dtypes["int8"], emitted.dtypes["int32"]) == (layers, layers)
    assert emitted.dtypes["float32"] == 1  # the input


def test_int8_files_answer_like_the_quantized_graph(quantized: ir.Model, tmp_path: Path) -> None:
    found = qdq.dequantized_from(quantized.graph.outputs[0])
    assert found is not None
    emit(quantized, tmp_path / "net.xml", "openvino", EmitOptions("int8"))
    steps = np.abs(answers(tmp_path / "net.xml") - simulated(quantized)) / float(found.scale)
    assert steps.max() < 6.5  # it rounds less often: inside SiLU and hard-swish not at all
    assert steps.mean() < 1.5


def test_float_answers_are_not_rounded_nor_cut_off(
    new_graph: Any, quantize_small: Any, tmp_path: Path
) -> None:
    """Against the sums before the last pair, on images with larger answers than those that calibrated."""
    b = new_graph([1, 3, 24, 24])
    model = quantize_small(b.model(b.conv(b.relu6(b.conv(b.image, 8)), 4)), IMAGES / 3)
    found = qdq.dequantized_from(model.graph.outputs[0])
    assert found is not None
    step, raw = float(found.scale), model.graph.outputs[0].producer().inputs[0].producer().inputs[0].name
    want = GraphRunner(model, [raw], optimize=False).run(IMAGES)[raw]
    assert np.abs(simulated(model) - want).max() > 10 * step  # cut off
    emit(model, tmp_path / "net.xml", "openvino", EmitOptions("int8"))
    got = answers(tmp_path / "net.xml")
    assert np.abs(got - want).max() < 0.01 * step
    assert integer_coverage(tmp_path / "net.xml").is_complete


def test_terms_of_a_sum_are_not_rounded(new_graph: Any, quantize_small: Any, tmp_path: Path) -> None:
    """Against the same sum of what each convolution computes, rounded once."""
    b = new_graph([1, 3, 24, 24])
    first = b.conv(b.image, 8)
    second = b.op("Relu", b.conv(first, 8, pads=(1, 1, 1, 1)))
    model = quantize_small(b.model(b.op("Add", first, second)), IMAGES)
    result = qdq.dequantized_from(model.graph.outputs[0])
    terms = [node.outputs[0].name for node in model.graph if node.op_type == "Conv"]
    assert result is not None
    computed = GraphRunner(model, terms, optimize=False).run(IMAGES)
    steps = (computed[terms[0]] + np.maximum(computed[terms[1]], 0)) / result.scale + result.zero_point
    want = np.clip(np.rint(steps), -128, 127) - result.zero_point
    emit(model, tmp_path / "net.xml", "openvino", EmitOptions("int8"))
    got = answers(tmp_path / "net.xml") / result.scale
    assert (np.abs(got - want) > 0.5).mean() < 0.001
    assert (np.abs(simulated(model) / result.scale - want) > 0.5).mean() > 0.1
    assert integer_coverage(tmp_path / "net.xml").is_complete


@pytest.mark.parametrize("input_type", ["int8", "uint8"])
@pytest.mark.parametrize("output_type", ["float32", "int8", "uint8"])
def test_integer_io_is_the_same_network(
    quantized: ir.Model, input_type: IoType, output_type: IoType, tmp_path: Path
) -> None:
    emit(quantized, tmp_path / "float.xml", "openvino", EmitOptions("int8"))
    options = EmitOptions("int8", input_type=input_type, output_type=output_type)
    emitted = emit(quantized, tmp_path / "net.xml", "openvino", options)
    source, result = emitted.input, emitted.output
    port = load(emitted.path).input
    assert (port.name, port.dtype, port.scale, port.zero_point) == (
        "image",
        input_type,
        source.scale,
        source.zero_point,
    )
    assert source.scale is not None
    assert source.zero_point is not None
    limits = np.iinfo(input_type)
    steps = np.rint(IMAGES / np.float32(source.scale)) + source.zero_point
    got = answers(emitted.path, np.clip(steps, limits.min, limits.max).astype(input_type))
    assert got.dtype == output_type
    step = 1e-5
    if result.scale is not None and result.zero_point is not None:
        got = (got.astype(np.float32) - result.zero_point) * np.float32(result.scale)
        step = 1.01 * result.scale
    assert got == pytest.approx(answers(tmp_path / "float.xml"), abs=step)


def test_an_unquantized_graph_is_not_int8(small_network: ir.Model, tmp_path: Path) -> None:
    with pytest.raises(CheckError, match="reads float values"):
        emit(small_network, tmp_path / "net.xml", "openvino", EmitOptions("int8"))
    assert not list(tmp_path.iterdir())


def test_integer_io_needs_int8(small_network: ir.Model, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="need precision int8"):
        emit(small_network, tmp_path / "net.xml", "openvino", EmitOptions(output_type="uint8"))


def test_files_repeat_to_the_byte(quantized: ir.Model, tmp_path: Path) -> None:
    first = emit(quantized, tmp_path / "a" / "net.xml", "openvino", EmitOptions("int8"))
    second = emit(quantized, tmp_path / "b" / "net.xml", "openvino", EmitOptions("int8"))
    assert first.sha256 == second.sha256
    assert first.details == second.details


def test_layers_keep_their_names(small_network: ir.Model, tmp_path: Path) -> None:
    convs = {node.name for node in small_network.graph if node.op_type == "Conv"}
    emitted = emit(small_network, tmp_path / "net.xml", "openvino", EmitOptions())
    nodes = openvino.Core().read_model(str(emitted.path)).get_ops()
    assert convs <= {node.get_friendly_name() for node in nodes}
    assert str(tmp_path) not in emitted.path.read_text()


def test_metadata_is_in_the_file(quantized: ir.Model, tmp_path: Path) -> None:
    preprocessing = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))
    labels = tuple(f"label {i}" for i in range(10))
    options = EmitOptions("int8", labels=labels, preprocessing=preprocessing, name="small")
    emitted = emit(quantized, tmp_path / "net.xml", "openvino", options)
    model = openvino.Core().read_model(str(emitted.path))
    assert model.get_friendly_name() == "small"
    assert model.get_rt_info(["model_info", "labels"]).astype(str).split()[1] == "label_1"
    assert model.get_rt_info(["model_info", "mean_values"]).astype(str) == "127.5 127.5 127.5"
    assert model.get_rt_info(["model_info", "scale_values"]).astype(str) == "63.75 63.75 63.75"
    stored = json.loads(model.get_rt_info(["edgekit", "preprocessing"]).astype(str))
    assert stored["crop"] == preprocessing.crop


def test_neither_file_appears_when_one_cannot(small_network: ir.Model, tmp_path: Path) -> None:
    (tmp_path / "net.bin").mkdir()
    with pytest.raises(OutputError):
        emit(small_network, tmp_path / "net.xml", "openvino", EmitOptions())
    assert [path.name for path in tmp_path.iterdir()] == ["net.bin"]
