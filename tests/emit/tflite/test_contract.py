"""int8 parameters that TFLite's kernels do not accept never reach a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.emit import EmitOptions, emit
from edgekit.emit.tflite.contract import CONSTRAINTS, check_integer_program, count_dtypes
from edgekit.emit.tflite.program import Program, Quantization
from edgekit.errors import CheckError
from edgekit.graph import qdq

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
FIXED = {"LOGISTIC": (1 / 256, -128), "SOFTMAX": (1 / 256, -128), "TANH": (1 / 128, 0)}


def program_of(code: str, output: Quantization, weight_zero: int = 0, bias_scale: float = 0.05) -> Program:
    """One operator on an int8 input of scale 0.5 and zero point 3."""
    program = Program()
    source = program.add_tensor("x", (1, 2, 2, 1), np.int8, Quantization.per_tensor(0.5, 3))
    inputs = [source]
    if code in WEIGHTED:
        weight = Quantization(np.asarray([0.1], np.float32), weight_zero)
        bias = Quantization(np.asarray([bias_scale], np.float32))
        inputs.append(program.add_constant("weight", np.ones((1, 1, 1, 1), np.int8), weight))
        inputs.append(program.add_constant("bias", np.ones(1, np.int32), bias))
    target = program.add_tensor("y", (1, 2, 2, 1), np.int8, output)
    program.add_operator(code, inputs, [target])
    program.inputs, program.outputs = [source], [target]
    return program


@pytest.mark.parametrize("code", CONSTRAINTS)
def test_right_parameters_pass(code: str) -> None:
    check_integer_program(program_of(code, Quantization.per_tensor(*FIXED.get(code, (0.5, 3)))))


@pytest.mark.parametrize("code", [code for code in CONSTRAINTS if code not in WEIGHTED])
@pytest.mark.parametrize(("scale", "zero_point"), [(0.25, 3), (0.5, 4)])
def test_another_output_scale_or_zero_point_is_refused(code: str, scale: float, zero_point: int) -> None:
    with pytest.raises(CheckError, match=f"{code} y: "):
        check_integer_program(program_of(code, Quantization.per_tensor(scale, zero_point)))


@pytest.mark.parametrize("code", WEIGHTED)
@pytest.mark.parametrize("wrong", [{"weight_zero": 1}, {"bias_scale": 0.051}])
def test_wrong_weights_or_bias_are_refused(code: str, wrong: dict[str, Any]) -> None:
    with pytest.raises(CheckError, match=f"{code} y: (weights|the bias)"):
        check_integer_program(program_of(code, Quantization.per_tensor(1.0, 0), **wrong))


@pytest.mark.parametrize("scale", [0.0, -0.5, 1e-39, np.inf, np.nan])
def test_a_scale_that_no_delegate_takes_is_refused(scale: float) -> None:
    with pytest.raises(CheckError, match="y has the scale"):
        check_integer_program(program_of("ADD", Quantization.per_tensor(scale, 0)))


def test_a_float_tensor_inside_is_refused() -> None:
    program = program_of("ADD", Quantization.per_tensor(1.0, 0))
    program.add_tensor("stray", (1,), np.float32)
    with pytest.raises(CheckError, match="stray"):
        check_integer_program(program)


def test_census_counts_by_dtype() -> None:
    assert count_dtypes(program_of("CONV_2D", Quantization.per_tensor(1.0, 0))) == {"int8": 3, "int32": 1}


def test_a_value_without_quantization_is_named(new_graph: Any, tmp_path: Path) -> None:
    builder = new_graph((1, 3, 8, 8))
    hidden = builder.op("HardSwish", builder.image)
    model = builder.model(builder.op("Sigmoid", hidden))
    qdq.insert_activation_pair(model.graph, builder.image, qdq.scalar_params(0.1, 0))
    qdq.insert_activation_pair(model.graph, model.graph.outputs[0], qdq.scalar_params(1 / 256, -128))
    with pytest.raises(CheckError, match=f"{hidden.name} is not quantized"):
        emit(model, tmp_path / "out.tflite", "tflite", EmitOptions("int8"))
    assert not list(tmp_path.iterdir())


def test_float_weights_in_an_int8_file_are_refused(new_graph: Any, tmp_path: Path) -> None:
    builder = new_graph((1, 3, 8, 8))
    model = builder.model(builder.conv(builder.image, 4))
    for value in (builder.image, model.graph.outputs[0]):
        qdq.insert_activation_pair(model.graph, value, qdq.scalar_params(0.1, 0))
    with pytest.raises(CheckError, match="not quantized"):
        emit(model, tmp_path / "out.tflite", "tflite", EmitOptions("int8"))


def test_half_precision_that_overflows_is_refused(new_graph: Any, tmp_path: Path) -> None:
    builder = new_graph((1, 1, 4, 4))
    model = builder.model(
        builder.op("Conv", builder.image, np.full((1, 1, 1, 1), 1e5, np.float32), np.zeros(1, np.float32))
    )
    with pytest.raises(CheckError, match="float16"):
        emit(model, tmp_path / "out.tflite", "tflite", EmitOptions("fp16"))
