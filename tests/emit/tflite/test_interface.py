"""Input and output types of an int8 file: the same answers behind each."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.emit import EmitOptions, emit
from edgekit.errors import UnsupportedError
from edgekit.runtimes.tflite import delegated, load

TYPES = ("int8", "uint8", "float32")


@pytest.fixture
def quantized(new_graph: Any, quantize_small: Any) -> Any:
    builder = new_graph((1, 3, 9, 9))
    x = builder.relu6(builder.conv(builder.image, 8))
    x = builder.op("Flatten", builder.op("GlobalAveragePool", x), axis=1)
    return quantize_small(builder.model(builder.gemm(x, 6)), builder.normal(8, 3, 9, 9))


@pytest.mark.parametrize(("input_type", "output_type"), list(product(TYPES, TYPES)))
def test_every_combination_answers_alike(
    input_type: Any, output_type: Any, quantized: Any, tmp_path: Path
) -> None:
    plain = emit(quantized, tmp_path / "plain.tflite", "tflite", EmitOptions("int8"))
    assert (plain.input.dtype, plain.output.dtype) == ("int8", "int8")
    options = EmitOptions("int8", input_type, output_type)
    other = emit(quantized, tmp_path / "other.tflite", "tflite", options)
    assert (other.input.dtype, other.output.dtype) == (input_type, output_type)
    assert (other.input.name, other.output.name) == ("image", "logits")

    assert plain.input.zero_point is not None
    image = np.random.default_rng(0).integers(-128, 128, (1, 9, 9, 3))
    real = (image.astype(np.float32) - plain.input.zero_point) * np.float32(plain.input.scale)
    fed = {"int8": image, "uint8": image + 128, "float32": real}[input_type].astype(input_type)
    want = load(plain.path).run(image.astype(np.int8)).astype(np.int64)
    got = load(other.path).run(fed)
    if output_type == "float32":
        got = np.round(got / np.float32(plain.output.scale)) + plain.output.zero_point
    shift = 128 if output_type == "uint8" else 0
    assert np.array_equal(got.astype(np.int64) - shift, want)


@pytest.mark.parametrize(("input_type", "left"), [("int8", 0), ("float32", 0), ("uint8", 1)])
def test_what_the_delegate_leaves(input_type: Any, left: int, quantized: Any, tmp_path: Path) -> None:
    # XNNPACK does not convert uint8 to int8: that one operator runs before its partition.
    emitted = emit(quantized, tmp_path / "out.tflite", "tflite", EmitOptions("int8", input_type, "int8"))
    report = delegated(emitted.path)
    assert (report.partitions, len(report.left)) == (1, left)


def test_zero_points_say_how_bytes_are_read(quantized: Any, tmp_path: Path) -> None:
    signed = emit(quantized, tmp_path / "i8.tflite", "tflite", EmitOptions("int8"))
    unsigned = emit(quantized, tmp_path / "u8.tflite", "tflite", EmitOptions("int8", "uint8", "uint8"))
    for inner, outer in ((signed.input, unsigned.input), (signed.output, unsigned.output)):
        assert inner.zero_point is not None
        assert outer.zero_point == inner.zero_point + 128
        assert outer.scale == inner.scale


@pytest.mark.parametrize("input_type", TYPES)
def test_the_output_follows_the_input(input_type: Any, quantized: Any, tmp_path: Path) -> None:
    emitted = emit(quantized, tmp_path / "out.tflite", "tflite", EmitOptions("int8", input_type))
    assert emitted.output.dtype == input_type


@pytest.mark.parametrize("precision", ["fp32", "fp16", "dynamic"])
def test_float_files_have_float_interfaces(precision: Any, new_graph: Any, tmp_path: Path) -> None:
    builder = new_graph((1, 3, 9, 9))
    model = builder.model(builder.conv(builder.image, 4))
    with pytest.raises(UnsupportedError, match=f"not {precision}"):
        emit(model, tmp_path / "out.tflite", "tflite", EmitOptions(precision, "uint8"))
    emitted = emit(model, tmp_path / "out.tflite", "tflite", EmitOptions(precision, "float32", "float32"))
    assert emitted.input.scale is None
    assert emitted.input.shape == (1, 9, 9, 3)
