"""Every lowering alone, in every precision: LiteRT against onnxruntime on the same graph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.emit import EmitOptions, emit
from edgekit.emit.tflite.registry import LOWERINGS
from edgekit.errors import UnsupportedError
from edgekit.options import Precision

Build = Callable[[Any, Any], Any]

# Largest error over the largest answer: rounding of sums, of half-precision weights, of int8 weights.
RELATIVE_ERROR = {"fp32": 1e-5, "fp16": 2e-3, "dynamic": 3e-2}
EXACT_SHARE = 0.95  # of int8 answers; the others may be one step off


@dataclass(frozen=True)
class Case:
    """One graph of one or few operators, and what the file must consist of."""

    build: Build
    operators: tuple[str, ...]
    shape: tuple[int, int, int, int] = (1, 3, 17, 17)
    # int8 operators without an XNNPACK kernel, and float ones
    not_delegated: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ("fp32", "int8")
    exact_share: float = EXACT_SHARE
    int8_operators: tuple[str, ...] | None = field(default=None)


def squeeze_excite(b: Any, x: Any) -> Any:
    x = b.op("Relu", b.conv(x, 8))
    gate = b.op("GlobalAveragePool", x)
    gate = b.op("Relu", b.conv(gate, 4, 1))
    return b.op("Mul", x, b.op("Sigmoid", b.conv(gate, 8, 1)))


def silu(b: Any, x: Any) -> Any:
    y = b.conv(x, 8)
    return b.op("Mul", y, b.op("Sigmoid", y))


def pool(kind: str, kernel: int, stride: int, pads: int = 0, **more: int) -> Build:
    def build(b: Any, x: Any) -> Any:
        sizes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pads] * 4}
        return b.op(kind, x, **sizes, **more)

    return build


def two(op: str, **attributes: int) -> Build:
    return lambda b, x: b.op(op, b.conv(x, 8), b.conv(x, 8), **attributes)


def after_conv(op: str, *constants: Any, **attributes: Any) -> Build:
    return lambda b, x: b.op(op, b.conv(x, 8), *constants, **attributes)


def on_input(op: str, *constants: Any, **attributes: Any) -> Build:
    return lambda b, x: b.op(op, x, *constants, **attributes)


def classifier(b: Any, x: Any) -> Any:
    return b.gemm(b.op("Flatten", x, axis=1), 10)


def global_classifier(b: Any, x: Any) -> Any:
    return classifier(b, b.op("GlobalAveragePool", x))


CONV, DW, FC = "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"
SMALL = (1, 8, 4, 4)
EVEN = (1, 3, 16, 16)
RESIZE = (np.zeros(0, np.float32), np.asarray([1, 1, 2, 2], np.float32))

CASES: dict[str, Case] = {
    "Add": Case(two("Add"), (CONV, CONV, "ADD")),
    "Add, fused Relu": Case(lambda b, x: b.op("Relu", two("Add")(b, x)), (CONV, CONV, "ADD")),
    "Add, scalar": Case(on_input("Add", np.float32(0.5)), ("ADD",)),
    "AveragePool": Case(
        pool("AveragePool", 2, 2), ("AVERAGE_POOL_2D",), EVEN, ("AVERAGE_POOL_2D",), exact_share=0.8
    ),
    "AveragePool, same": Case(
        pool("AveragePool", 3, 1, 1), ("AVERAGE_POOL_2D",), not_delegated=("AVERAGE_POOL_2D",)
    ),
    "AveragePool, padding counts": Case(
        pool("AveragePool", 3, 2, 1, count_include_pad=1),
        ("PAD", "AVERAGE_POOL_2D"),
        not_delegated=("AVERAGE_POOL_2D",),
    ),
    "Clip, fused ReLU6": Case(lambda b, x: b.relu6(b.conv(x, 8)), (CONV,)),
    "Clip, fused to [-1, 1]": Case(after_conv("Clip", np.float32(-1), np.float32(1)), (CONV,)),
    "Clip, odd bounds": Case(
        after_conv("Clip", np.float32(-0.5), np.float32(0.7)),
        (CONV, "MINIMUM", "MAXIMUM"),
        int8_operators=(CONV,),
    ),
    "Clip, ReLU6 alone": Case(
        lambda b, x: b.relu6(two("Concat", axis=1)(b, x)),
        (CONV, CONV, "CONCATENATION", "RELU6"),
        int8_operators=(CONV, CONV, "CONCATENATION", "QUANTIZE"),
    ),
    "Concat": Case(two("Concat", axis=1), (CONV, CONV, "CONCATENATION")),
    "Concat, height": Case(two("Concat", axis=-2), (CONV, CONV, "CONCATENATION")),
    "Conv": Case(lambda b, x: b.conv(x, 8), (CONV,)),
    "Conv, kernel 5 × 3": Case(lambda b, x: b.conv(x, 8, (5, 3), pads=(2, 1, 2, 1)), (CONV,)),
    "Conv, grouped": Case(lambda b, x: b.conv(x, 8, group=2), (CONV,), SMALL),
    "Conv, depthwise": Case(lambda b, x: b.conv(x, 8, pads=(1, 1, 1, 1), group=8), (DW,), SMALL),
    "Conv, depth multiplier": Case(lambda b, x: b.conv(x, 16, group=8), (DW,), SMALL),
    "Conv, depthwise dilated": Case(
        lambda b, x: b.conv(x, 8, pads=(2, 2, 2, 2), group=8, dilation=2), (DW,), (1, 8, 9, 9)
    ),
    "Div": Case(
        lambda b, x: b.op("Div", b.conv(x, 8), b.op("Sigmoid", b.conv(x, 8))),
        (CONV, CONV, "LOGISTIC", "DIV"),
        precisions=("fp32",),
    ),
    "Flatten, one pixel": Case(
        lambda b, x: b.op("Flatten", b.op("GlobalAveragePool", x), axis=1), ("MEAN", "RESHAPE")
    ),
    "Flatten, without classifier": Case(on_input("Flatten", axis=1), ("TRANSPOSE", "RESHAPE"), SMALL),
    "Gemm, of pixels": Case(classifier, (FC,), SMALL),
    "Gemm, of a mean": Case(global_classifier, ("MEAN", FC), SMALL),
    "Gemm, fused Relu": Case(lambda b, x: b.gemm(b.op("Relu", classifier(b, x)), 5), (FC, FC), SMALL),
    "GlobalAveragePool": Case(on_input("GlobalAveragePool"), ("MEAN",)),
    "HardSigmoid": Case(after_conv("HardSigmoid", alpha=1 / 6, beta=0.5), (CONV, "ADD", "MUL")),
    "HardSwish": Case(after_conv("HardSwish"), (CONV, "HARD_SWISH"), not_delegated=("HARD_SWISH",)),
    "LeakyRelu": Case(after_conv("LeakyRelu", alpha=0.1), (CONV, "LEAKY_RELU")),
    "MaxPool": Case(pool("MaxPool", 3, 2), ("MAX_POOL_2D",)),
    "MaxPool, same": Case(pool("MaxPool", 3, 2, 1), ("MAX_POOL_2D",)),
    "MaxPool, rounded up": Case(pool("MaxPool", 3, 2, ceil_mode=1), ("MAX_POOL_2D",), EVEN),
    "MaxPool, padded": Case(
        pool("MaxPool", 3, 2, 1), ("PADV2", "MAX_POOL_2D"), EVEN, not_delegated=("PADV2",)
    ),
    "MaxPool, padded after Relu": Case(
        lambda b, x: pool("MaxPool", 3, 2, 1)(b, b.op("Relu", b.conv(x, 4))),
        (CONV, "PAD", "MAX_POOL_2D"),
        (1, 3, 18, 18),
    ),
    "MaxPool, then Relu": Case(
        lambda b, x: b.op("Relu", pool("MaxPool", 3, 2)(b, b.conv(x, 4))),
        (CONV, "MAX_POOL_2D"),
        int8_operators=(CONV, "MAX_POOL_2D", "QUANTIZE"),
        exact_share=0.85,  # rounded twice: to the pool's scale and to the activation's
    ),
    "Mul": Case(two("Mul"), (CONV, CONV, "MUL")),
    "Mul, per channel": Case(
        on_input("Mul", np.linspace(-1, 1, 3, dtype=np.float32).reshape(3, 1, 1)), ("MUL",)
    ),
    "Pad": Case(on_input("Pad", np.asarray([0, 0, 1, 2, 0, 0, 3, 4])), ("PAD",)),
    "ReduceMean": Case(on_input("ReduceMean", np.asarray([2, 3]), keepdims=0), ("MEAN",)),
    "ReduceMean, channels": Case(
        on_input("ReduceMean", np.asarray([1]), keepdims=1), ("MEAN",), not_delegated=("MEAN",)
    ),
    "Relu, fused": Case(after_conv("Relu"), (CONV,)),
    "Relu, alone": Case(
        lambda b, x: b.op("Relu", two("Concat", axis=1)(b, x)),
        (CONV, CONV, "CONCATENATION", "RELU"),
        int8_operators=(CONV, CONV, "CONCATENATION", "QUANTIZE"),
    ),
    "Reshape": Case(
        lambda b, x: b.op("Reshape", classifier(b, x), np.asarray([1, 2, 5])), (FC, "RESHAPE"), SMALL
    ),
    "Resize, linear": Case(
        on_input("Resize", *RESIZE, mode="linear", coordinate_transformation_mode="half_pixel"),
        ("RESIZE_BILINEAR",),
    ),
    "Resize, nearest": Case(
        on_input(
            "Resize",
            *RESIZE,
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        ("RESIZE_NEAREST_NEIGHBOR",),
        not_delegated=("RESIZE_NEAREST_NEIGHBOR",),
    ),
    "Sigmoid": Case(after_conv("Sigmoid"), (CONV, "LOGISTIC")),
    "SiLU": Case(silu, (CONV, "LOGISTIC", "MUL")),
    "Softmax": Case(
        lambda b, x: b.op("Softmax", classifier(b, x), axis=-1),
        (FC, "SOFTMAX"),
        SMALL,
        not_delegated=("SOFTMAX",),
    ),
    "squeeze-excite": Case(squeeze_excite, (CONV, "MEAN", CONV, CONV, "LOGISTIC", "MUL")),
    "Sub": Case(two("Sub"), (CONV, CONV, "SUB")),
    "Tanh": Case(on_input("Tanh"), ("TANH",)),
}


def graph_of(case: Case, new_graph: Any) -> tuple[Any, Any]:
    builder = new_graph(case.shape)
    model = builder.model(case.build(builder, builder.image))
    batch = np.random.default_rng(1).standard_normal((4, *case.shape[1:])).astype(np.float32)
    return model, batch


def test_every_lowering_has_a_case() -> None:
    tested = {name.split(",")[0] for name in CASES}
    quantization = {"QuantizeLinear", "DequantizeLinear"}
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
    assert result.steps.max() <= 1
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
    model = builder.model(builder.op("Elu", builder.conv(builder.image, 4)))
    with pytest.raises(UnsupportedError, match=r"Elu \(logits\)"):
        emit(model, tmp_path / "out.tflite", "tflite", EmitOptions())
    assert not list(tmp_path.iterdir())


REFUSED: dict[str, Build] = {
    "Reshape": on_input("Reshape", np.asarray([1, 9, 16, 16])),
    "MaxPool": pool("MaxPool", 3, 1, 0, dilations=[2, 2]),  # type: ignore[arg-type]
    "AveragePool": pool("AveragePool", 3, 2, 1),
    "HardSigmoid": on_input("HardSigmoid", alpha=0.2, beta=0.5),
    "Softmax": on_input("Softmax", axis=2),
    "Pad": on_input("Pad", np.asarray([0, 0, 1, 1, 0, 0, 1, 1]), np.float32(1)),
    "ReduceMean": on_input("ReduceMean", np.asarray([1]), keepdims=0),
}
REFUSED_SHAPES = {"Reshape": (1, 36, 8, 8), "AveragePool": (1, 3, 16, 16)}


@pytest.mark.parametrize("op", REFUSED)
def test_what_has_no_exact_form_is_refused(op: str, new_graph: Any, tmp_path: Path) -> None:
    builder = new_graph(REFUSED_SHAPES.get(op, (1, 3, 17, 17)))
    model = builder.model(REFUSED[op](builder, builder.image))
    with pytest.raises(UnsupportedError, match="logits"):
        emit(model, tmp_path / "out.tflite", "tflite", EmitOptions())


def operators_of(result: Any) -> list[str]:
    counts = result.emitted.details["operators"]
    return [code for code, count in counts.items() for _ in range(count)]


def left_of(result: Any) -> list[str]:
    return [entry.split(" ")[0] for entry in result.delegation.left]
