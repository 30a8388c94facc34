"""Operator versions against TensorFlow Lite's published table, and the runtimes that know them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekit.emit import EmitOptions
from edgekit.emit.tflite.program import Program, Quantization
from edgekit.emit.tflite.versions import minimum_runtime, operator_version

PER_TENSOR = Quantization.per_tensor(0.1, 0)
PER_CHANNEL = Quantization(np.asarray([0.1, 0.2], np.float32))


def version_of(
    code: str,
    dtype: Any,
    weight: Any = None,
    scales: Quantization = PER_CHANNEL,
    output: Any = None,
    weight_channels: int = 4,
    **options: Any,
) -> int:
    program = Program()
    parameters = PER_TENSOR if np.dtype(dtype).kind in "iu" else None
    inputs = [program.add_tensor("x", (1, 8, 8, 4), dtype, parameters)]
    if weight is not None:
        quantization = scales if weight == np.int8 else None
        inputs.append(program.add_constant("w", np.zeros((2, 1, 1, weight_channels), weight), quantization))
    target = program.add_tensor("y", (1, 8, 8, 2), output or dtype, parameters)
    program.add_operator(code, inputs, [target], **options)
    return operator_version(program.operators[0], program.tensors)


F32, I8, F16, U8 = np.float32, np.int8, np.float16, np.uint8


@pytest.mark.parametrize(
    ("expected", "arguments"),
    [
        (1, ("CONV_2D", F32, F32)),
        (2, ("CONV_2D", F32, I8, PER_TENSOR)),
        (3, ("CONV_2D", I8, I8)),
        (5, ("CONV_2D", F32, I8)),
        (1, ("DEPTHWISE_CONV_2D", F32, F32)),
        (3, ("DEPTHWISE_CONV_2D", I8, I8)),
        (6, ("DEPTHWISE_CONV_2D", F32, I8)),
        (1, ("FULLY_CONNECTED", F32, F32)),
        (3, ("FULLY_CONNECTED", F32, I8, PER_TENSOR)),
        (4, ("FULLY_CONNECTED", I8, I8)),
        (12, ("FULLY_CONNECTED", F32, I8)),
        (1, ("DEQUANTIZE", U8)),
        (2, ("DEQUANTIZE", I8)),
        (3, ("DEQUANTIZE", F16)),
        (1, ("QUANTIZE", F32)),
        (1, ("QUANTIZE", U8)),
        (1, ("HARD_SWISH", I8)),
        (1, ("RESHAPE", I8)),
        *[
            (version, (code, dtype))
            for code in ("ADD", "AVERAGE_POOL_2D", "CONCATENATION", "LOGISTIC", "MAX_POOL_2D", "MEAN", "PAD")
            for version, dtype in ((1, F32), (2, I8))
        ],
    ],
)
def test_versions_are_the_published_ones(expected: int, arguments: tuple[Any, ...]) -> None:
    assert version_of(*arguments) == expected


def test_options_raise_versions() -> None:
    assert version_of("CONV_2D", F32, F32, weight_channels=2) == 6
    assert version_of("DEPTHWISE_CONV_2D", F32, F32, dilationHFactor=2) == 2
    assert version_of("FULLY_CONNECTED", F32, I8, PER_TENSOR, asymmetricQuantizeInputs=True) == 9
    assert version_of("RESIZE_BILINEAR", I8, halfPixelCenters=True) == 3


@pytest.mark.parametrize(("output_scale", "version"), [(0.5, 2), (0.01, 3)])
def test_a_product_scaled_up_needs_a_newer_multiplication(output_scale: float, version: int) -> None:
    program = Program()
    source = program.add_tensor("x", (1,), np.int8, PER_TENSOR)
    target = program.add_tensor("y", (1,), np.int8, Quantization.per_tensor(output_scale, 0))
    program.add_operator("MUL", [source, source], [target])
    assert operator_version(program.operators[0], program.tensors) == version


def test_minimum_runtime_is_the_newest_that_any_operator_needs() -> None:
    assert minimum_runtime([("CONV_2D", 1), ("MEAN", 1)]) == "1.6.0"
    assert minimum_runtime([("CONV_2D", 3), ("RELU", 2)]) == "2.1.0"
    assert minimum_runtime([("CONV_2D", 6), ("FULLY_CONNECTED", 12)]) == "2.17.0"


def test_a_plain_int8_classifier_runs_since_the_first_int8_runtime(
    new_graph: Any, quantize_small: Any, compare: Any
) -> None:
    builder = new_graph((1, 3, 8, 8))
    x = builder.relu6(builder.conv(builder.image, 8, pads=(1, 1, 1, 1)))
    x = builder.op("Flatten", builder.op("GlobalAveragePool", x), axis=1)
    model, batch = builder.model(builder.gemm(x, 4)), builder.normal(4, 3, 8, 8)
    result = compare(quantize_small(model, batch, per_channel_gemm=False), batch, EmitOptions("int8"))
    assert result.emitted.details["min_runtime_version"] == "1.14.0"
