"""Files of several precisions: the same answers in all runtimes, and int16 as integer arithmetic says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import pytest

from edgekit import runtimes
from edgekit.emit import EmitOptions, Emitted, emit
from edgekit.emit.renderings.weights import symmetric_int8
from edgekit.errors import UnsupportedError
from edgekit.evaluation import encode, read_output
from edgekit.graph import qdq
from edgekit.graph.run import GraphRunner
from edgekit.graph.values import AttributeValue, array_of, required
from edgekit.options import FORMATS, Format, Precision
from edgekit.parity import sqnr_db
from edgekit.quantize import QuantizeOptions, observe, quantize
from edgekit.quantize.contract import WIDE
from edgekit.quantize.plan import LayerPrecision
from edgekit.quantize.precision import with_precisions
from graphs import NETWORKS, FloatArray, GraphBuilder
from outliers import RUINED, ruined_network

SHAPE = (3, 24, 24)
QUICK = QuantizeOptions(rounding="nearest")
SUFFIXES: dict[Format, str] = {"tflite": ".tflite", "onnx": ".onnx", "openvino": ".xml"}


def network(name: str) -> ir.Model:
    builder = GraphBuilder([1, *SHAPE])
    return builder.model(NETWORKS[name](builder))


def images(count: int = 6) -> FloatArray:
    return np.random.default_rng(0).standard_normal((count, 1, *SHAPE)).astype(np.float32)


def mixed(model: ir.Model, names: Sequence[str], precision: LayerPrecision = "float") -> ir.Model:
    observation = observe(model, images())
    plan = with_precisions(observation.plan, dict.fromkeys(names, precision))
    return quantize(model, replace(observation, plan=plan), QUICK).model


def layers(model: ir.Model) -> list[str]:
    return [layer.name for layer in observe(model, images(1)).plan.layers]


def run(model: ir.Model) -> FloatArray:
    # onnxruntime's optimizer quantizes the float weights of layers between pairs.
    return GraphRunner(model, optimize=False).run(images()[:, 0])["logits"].reshape(6, -1)


def written(
    model: ir.Model, folder: Path, format_: Format, precision: Precision
) -> tuple[Emitted, FloatArray]:
    """A file with float32 input and output, and its answers."""
    options = EmitOptions(precision, "float32", "float32")
    emitted = emit(model, folder / f"net{SUFFIXES[format_]}", format_, options)
    runner = runtimes.load(emitted.path)
    answers = [read_output(runner.run(encode(image, emitted.input)), emitted.output) for image in images()]
    return emitted, np.stack(answers)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("part", [slice(0, 2), slice(1, -1)])
def test_a_mixed_file_answers_as_its_graph(name: str, part: slice, format_: Format, tmp_path: Path) -> None:
    model = network(name)
    graph = mixed(model, layers(model)[part])
    emitted, answers = written(graph, tmp_path, format_, "int8")
    # A step of a value inside may be rounded the other way; int8 itself is near 40 dB here.
    assert sqnr_db(run(graph), answers) > 38
    assert sqnr_db(run(model), answers) > 38
    assert emitted.dtypes.get("int8", 0) + emitted.dtypes.get("uint8", 0) > 0


@pytest.mark.parametrize("format_", FORMATS)
def test_keeping_the_ruined_layer_saves_every_file(format_: Format, tmp_path: Path) -> None:
    model = ruined_network(SHAPE)
    _, broken = written(mixed(model, []), tmp_path, format_, "int8")
    _, saved = written(mixed(model, [RUINED]), tmp_path, format_, "int8")
    assert sqnr_db(run(model), broken) < 25
    assert sqnr_db(run(model), saved) > 35


@pytest.mark.parametrize("format_", FORMATS)
def test_float_weights_stay_float(format_: Format, tmp_path: Path) -> None:
    """No runtime takes a float convolution between pairs for one to quantize, as onnxruntime would."""
    b = GraphBuilder([1, *SHAPE], seed=3)
    x = b.relu6(b.conv(b.image, 8, stride=2))
    model = b.model(b.conv(x, 4))
    node = model.graph[-1]
    array = array_of(required(node, 1))
    assert array is not None
    weight = array.copy()
    weight[0] *= 100  # with one scale for all, the other filters are lost
    required(node, 1).const_value = ir.tensor(weight, name=required(node, 1).name)
    graph = mixed(model, ["logits"])
    _, answers = written(graph, tmp_path, format_, "int8")
    small = answers.reshape(6, 4, -1)[:, 1:]
    expected = run(graph).reshape(6, 4, -1)[:, 1:]
    assert np.abs(small - expected).max() <= 1.01 * float(_params(graph.graph.outputs[0]).scale)


def _params(value: ir.Value | None) -> qdq.QuantizedTensor:
    found = qdq.dequantized_from(value)
    assert found is not None
    return found


def _integers(value: ir.Value | None) -> npt.NDArray[np.int64]:
    found = qdq.dequantized_constant(value)
    assert found is not None
    return np.asarray(found.values, np.int64)


def test_int16_is_integer_arithmetic(tmp_path: Path) -> None:
    """A convolution with ReLU6 and a classifier, 16x8, against sums of products in int64."""
    b = GraphBuilder([1, 12], seed=2)
    model = b.model(b.gemm(b.op("Relu", b.gemm(b.image, 16)), 5))
    rows = np.random.default_rng(1).standard_normal((20, 1, 12)).astype(np.float32)
    observation = observe(model, rows)
    plan = with_precisions(
        observation.plan, dict.fromkeys((one.name for one in observation.plan.layers), "int16")
    )
    graph = quantize(model, replace(observation, plan=plan), QUICK).model
    emitted = emit(graph, tmp_path / "net.tflite", "tflite", EmitOptions("int16"))
    assert emitted.dtypes["int16"] == 3
    assert emitted.dtypes["int64"] == 2
    assert (emitted.input.dtype, emitted.output.dtype) == ("float32", "float32")
    runner = runtimes.load(emitted.path)
    first, last = (node for node in graph.graph if node.op_type == "Gemm")
    hidden = next(node for node in graph.graph if node.op_type == "Relu")
    state = _rounded(rows[:, 0], _params(first.inputs[0]))
    for layer, low, params in (
        (
            first,
            0,
            _params(next(iter(next(iter(hidden.outputs[0].uses())).node.outputs[0].uses())).node.outputs[0]),
        ),
        (last, -32768, _params(graph.graph.outputs[0])),
    ):
        total = state @ _integers(layer.inputs[1]).T + _integers(layer.inputs[2])
        weight, source = qdq.dequantized_constant(layer.inputs[1]), _params(layer.inputs[0])
        assert weight is not None
        steps = total * (source.scale.astype(np.float64) * weight.scale / params.scale)
        state = np.clip(np.rint(steps), low, 32767).astype(np.int64)
    answers = np.stack([runner.run(row).reshape(-1) for row in rows])
    off = np.rint(np.asarray(answers, np.float64) / params.scale).astype(np.int64) - state
    assert np.abs(off).max() <= 1
    assert np.abs(state).max() > 2000  # of 32767: the range has room for four times what was seen


def _rounded(values: FloatArray, params: qdq.QuantizedTensor) -> npt.NDArray[np.int64]:
    assert params.dtype == ir.DataType.INT16
    return np.asarray(np.clip(np.rint(values / params.scale), -32768, 32767), np.int64)


@pytest.mark.parametrize("name", NETWORKS)
def test_int16_networks_are_nearer_than_int8(name: str, tmp_path: Path) -> None:
    model = network(name)
    graph = mixed(model, layers(model), "int16")
    _, answers = written(graph, tmp_path, "tflite", "int16")
    assert sqnr_db(run(graph), answers) > 60
    assert sqnr_db(run(model), answers) > sqnr_db(run(model), run(mixed(model, []))) + 5


@pytest.mark.parametrize("op_type", sorted(WIDE - {"Conv", "Gemm", "Clip", "Relu"}))
def test_litert_computes_every_operator_in_int16(op_type: str, tmp_path: Path) -> None:
    b = GraphBuilder([1, *SHAPE])
    x, y = b.conv(b.image, 4, 1), b.conv(b.image, 4, 1)
    pooled = b.op("GlobalAveragePool", x)
    windows = {"kernel_shape": [2, 2], "strides": [2, 2], "pads": [0, 0, 0, 0]}
    made: dict[str, tuple[list[ir.Value | npt.ArrayLike], dict[str, AttributeValue]]] = {
        "Concat": ([x, y], {"axis": 1}),
        "Flatten": ([x], {"axis": 1}),
        "MaxPool": ([x], {**windows}),
        "Pad": ([x, np.asarray([0, 0, 1, 1, 0, 0, 1, 1])], {}),
        "Reshape": ([pooled, np.asarray([1, 4])], {}),
        "Softmax": ([b.op("Flatten", pooled, axis=1)], {"axis": 1}),
        **{name: ([x, y], {}) for name in ("Add", "Sub", "Mul")},
        **{name: ([x], {}) for name in ("GlobalAveragePool", "Sigmoid", "Tanh")},
    }
    inputs, attributes = made[op_type]
    model = b.model(b.op(op_type, *inputs, **attributes))  # type: ignore[arg-type]  # none of them is called name
    graph = mixed(model, layers(model), "int16")
    _, answers = written(graph, tmp_path, "tflite", "int16")
    assert sqnr_db(run(graph), answers) > 50
    assert sqnr_db(run(model), answers) > 38


@pytest.mark.parametrize("format_", ["onnx", "openvino"])
def test_other_formats_refuse_int16(format_: Format, tmp_path: Path) -> None:
    model = network("plain")
    with pytest.raises(UnsupportedError, match="only TFLite has kernels"):
        emit(mixed(model, layers(model)[:1], "int16"), tmp_path / "net", format_, EmitOptions("int8"))


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("name", NETWORKS)
def test_weight_only_is_the_network_with_rounded_weights(name: str, format_: Format, tmp_path: Path) -> None:
    model = network(name)
    rounded = model.clone()
    for node in rounded.graph:
        value = required(node, 1) if node.op_type in ("Conv", "Gemm") else None
        array = array_of(value)
        if value is not None and array is not None:
            integers, scales = symmetric_int8(array.astype(np.float32), 0)
            value.const_value = ir.tensor(integers * scales, name=value.name)
    emitted, answers = written(model, tmp_path, format_, "weight-only")
    assert np.abs(answers - run(rounded)).max() < 1e-4 * np.abs(answers).max()
    weighted = sum(node.op_type in ("Conv", "Gemm") for node in model.graph)
    assert emitted.dtypes["int8"] == weighted
    fp32, _ = written(model, tmp_path, format_, "fp32")
    assert emitted.dtypes["float32"] >= fp32.dtypes["float32"] - weighted
