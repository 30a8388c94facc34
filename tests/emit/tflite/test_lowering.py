"""Every lowering alone, in every precision: LiteRT against onnxruntime on the same graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.emit import EmitOptions, emit
from edgekit.emit.tflite.registry import LOWERINGS
from edgekit.errors import UnsupportedError
from edgekit.options import Precision
from lowering_cases import CASES, RESIZE, Build, Case, on_input

# Largest error over the largest answer: rounding of sums, of half-precision weights, of int8 weights.
RELATIVE_ERROR = {"fp32": 1e-5, "fp16": 2e-3, "dynamic": 3e-2}


def graph_of(case: Case, new_graph: Any) -> tuple[Any, Any]:
    builder = new_graph(case.shape)
    model = builder.model(case.build(builder, builder.image))
    batch = np.random.default_rng(1).standard_normal((4, *case.shape[1:])).astype(np.float32)
    return model, batch


def test_every_lowering_has_a_case() -> None:
    tested = {name.split(",")[0] for name in CASES}
    # Tested where they come from: the quantizer, the front end, indices that are no numbers to compare.
    quantization = {"QuantizeLinear", "DequantizeLinear", "Gelu", "ArgMax", "ArgMin"}
    assert set(LOWERINGS) - quantization <= tested


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "fp32" in case.precisions])
def test_fp32_equals_onnxruntime(name: str, new_graph: Any, compare: Any) -> None:
    case = CASES[name]
    result = compare(*graph_of(case, new_graph), EmitOptions("fp32"))
    assert result.relative_error < RELATIVE_ERROR["fp32"]
    assert sorted(operators_of(result)) == sorted(case.operators)
    assert set(left_of(result)) <= set(case.not_delegated)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if "int8" in case.precisions])
def test_int8_equals_onnxruntime(name: str, new_graph: Any, quantize_small: Any, compare: Any) -> None:
    case = CASES[name]
    model, batch = graph_of(case, new_graph)
    result = compare(quantize_small(model, batch), batch, EmitOptions("int8"))
    assert result.steps.max() <= case.most_steps
    assert np.mean(result.steps == 0) >= case.exact_share
    assert sorted(operators_of(result)) == sorted(case.int8_operators or case.operators)
    assert set(left_of(result)) <= set(case.not_delegated)
    assert "float32" not in result.emitted.dtypes


WEIGHTED = ["Conv", "Conv, grouped", "Conv, depthwise", "Gemm, of pixels", "Gemm, of a mean"]


@pytest.mark.parametrize("name", WEIGHTED)
@pytest.mark.parametrize("precision", ["fp16", "dynamic"])
def test_small_weights_are_near_and_delegated(
    name: str, precision: Precision, new_graph: Any, compare: Any
) -> None:
    result = compare(*graph_of(CASES[name], new_graph), EmitOptions(precision))
    assert result.relative_error < RELATIVE_ERROR[precision]
    assert result.emitted.dtypes.keys() & {"float16", "int8"}
    assert result.delegation.partitions == 1
    assert not result.delegation.left


@pytest.mark.parametrize("per_channel", [True, False])
def test_classifier_weights_may_have_one_scale_or_many(
    per_channel: bool, new_graph: Any, quantize_small: Any, compare: Any
) -> None:
    model, batch = graph_of(CASES["Gemm, of pixels"], new_graph)
    result = compare(quantize_small(model, batch, per_channel_gemm=per_channel), batch, EmitOptions("int8"))
    assert result.steps.max() <= 1
    assert not result.delegation.left


def test_an_unknown_operator_is_named_with_its_node(new_graph: Any, tmp_path: Path) -> None:
    builder = new_graph((1, 3, 8, 8))
    model = builder.model(builder.op("CastLike", builder.conv(builder.image, 4), np.float32(1)))
    with pytest.raises(UnsupportedError, match=r"CastLike \(logits\)"):
        emit(model, tmp_path / "out.tflite", "tflite", EmitOptions())
    assert not list(tmp_path.iterdir())


REFUSED: dict[str, Build] = {
    "HardSigmoid": on_input("HardSigmoid", alpha=0.2, beta=0.5),
    "LRN": on_input("LRN", size=2),
    "Pad": on_input("Pad", np.asarray([0, 0, 1, 1, 0, 0, 1, 1]), mode="edge"),
    "Resize": on_input("Resize", *RESIZE, mode="cubic"),
    "Resize to nothing": on_input("Resize", None, np.asarray([1, 1, 1, 0.01], np.float32), mode="nearest"),
}


@pytest.mark.parametrize("op", REFUSED)
def test_what_has_no_exact_form_is_refused(op: str, new_graph: Any, tmp_path: Path) -> None:
    builder = new_graph((1, 3, 17, 17))
    model = builder.model(REFUSED[op](builder, builder.image))
    with pytest.raises(UnsupportedError, match="logits"):
        emit(model, tmp_path / "out.tflite", "tflite", EmitOptions())


def operators_of(result: Any) -> list[str]:
    counts = result.emitted.details["operators"]
    return [code for code, count in counts.items() for _ in range(count)]


def left_of(result: Any) -> list[str]:
    return [entry.split(" ")[0] for entry in result.delegation.left]
