"""A file's structure against what LiteRT itself says of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.errors import ModelFileError
from edgekit.runtimes.tflite_file import read
from family_files import network_file


def test_tensors_and_operators_are_those_that_litert_reads() -> None:
    from ai_edge_litert import interpreter as litert

    path = network_file("mobilenet_v2")
    file = read(path)
    runner = litert.Interpreter(
        str(path),
        experimental_op_resolver_type=litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    runner.allocate_tensors()
    details = {int(detail["index"]): detail for detail in runner.get_tensor_details()}
    for index, tensor in enumerate(file.tensors):
        assert tensor.name == details[index]["name"]
        assert tensor.shape == tuple(details[index]["shape"])
        assert tensor.dtype == np.dtype(details[index]["dtype"]).name
        assert tensor.num_scales == len(details[index]["quantization_parameters"]["scales"])
    operators = runner._get_ops_details()
    assert [one.code for one in file.operators] == [detail["op_name"] for detail in operators]
    assert [one.inputs for one in file.operators] == [tuple(detail["inputs"]) for detail in operators]
    assert file.inputs == (int(runner.get_input_details()[0]["index"]),)
    assert file.outputs == (int(runner.get_output_details()[0]["index"]),)


def test_constants_are_what_is_stored() -> None:
    path = network_file("mobilenet_v1")
    file = read(path)
    constant = sum(tensor.size_bytes for tensor in file.tensors if tensor.is_constant)
    assert 0.5 * path.stat().st_size < constant < path.stat().st_size
    produced = {index for operator in file.operators for index in operator.outputs}
    assert not any(file.tensors[index].is_constant for index in produced | set(file.inputs))


@pytest.mark.parametrize("kept", [0, 4, 100, 5000])
def test_a_damaged_file_is_an_error_that_names_it(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes(network_file("mobilenet_v1").read_bytes()[:kept])
    with pytest.raises(ModelFileError, match=r"cut\.tflite"):
        read(path)
