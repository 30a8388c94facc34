"""Every table of the zoo, from torch to the three runtimes: equal answers, and nothing that slows them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch

from edgekit.capture import capture
from edgekit.emit import EmitOptions, emit
from edgekit.emit.base import Emitted
from edgekit.graph.run import GraphRunner
from edgekit.models.module import build
from edgekit.options import Format
from edgekit.parity import max_relative_error, sqnr_db
from edgekit.quantize import quantize
from edgekit.quantize.observation import observe
from edgekit.quantize.options import QuantizeOptions
from edgekit.runtimes import load
from edgekit.runtimes.tflite import delegated
from small_networks import representatives, tiny

FloatArray = np.ndarray[Any, np.dtype[np.float32]]

SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "openvino": ".xml", "tflite": ".tflite"}
IMAGES = 2
LEFT_OUT = {
    "alexnet_two_towers": {"LOCAL_RESPONSE_NORMALIZATION"},
    "zfnet": {"LOCAL_RESPONSE_NORMALIZATION"},
}
"""Operators that XNNPACK does not have."""

IN_ALL_RUNTIMES = ("lenet5", "cifar_resnet20", "shufflenet_v2_x0_5", "mobilenet_v3_small")
"""ONNX and OpenVINO files carry the quantized graph as it is, and take seconds to compile: these have
operators that others lack."""

INTEGERS = EmitOptions("int8", input_type="float32", output_type="float32")
by_table = pytest.mark.parametrize("name", representatives())


class Case(NamedTuple):
    """A captured network with random weights, images, and torch's answer to them."""

    proto: bytes
    images: FloatArray
    answers: FloatArray

    def graph(self) -> ir.Model:
        """A fresh copy."""
        return ir.from_proto(onnx.load_from_string(self.proto))


@cache
def case_of(name: str) -> Case:
    torch.set_num_threads(1)
    network = tiny(name)
    module = build(network)
    images = np.random.default_rng(0).standard_normal((IMAGES, *network.input_shape)).astype(np.float32)
    with torch.no_grad():
        answers = module(torch.from_numpy(images)).numpy()
    proto: onnx.ModelProto = ir.to_proto(capture(module, (1, *network.input_shape), method="fx"))
    return Case(bytes(proto.SerializeToString()), images, answers)


def answers_of(path: Path, images: FloatArray) -> FloatArray:
    runner = load(path)
    batches = images.transpose(0, 2, 3, 1) if path.suffix == ".tflite" else images
    return np.concatenate([np.asarray(runner.run(image[None])) for image in batches])


def assert_rendered_well(name: str, path: Path, emitted: Emitted) -> None:
    operators = emitted.details["operators"]
    assert isinstance(operators, dict)
    assert "TRANSPOSE" not in operators
    found = delegated(path)
    assert {left.split()[0] for left in found.left} == LEFT_OUT.get(name, set())
    assert found.partitions == 1 + len(found.left)


@by_table
def test_float_files_answer_like_torch(name: str, tmp_path: Path) -> None:
    case = case_of(name)
    for format, suffix in SUFFIXES.items():
        path = tmp_path / f"{name}{suffix}"
        emitted = emit(case.graph(), path, format, EmitOptions("fp32"))
        assert max_relative_error(case.answers, answers_of(path, case.images)) < 1e-4, format
        if format == "tflite":
            assert_rendered_well(name, path, emitted)


@by_table
def test_integer_files_answer_like_their_graph(name: str, tmp_path: Path) -> None:
    case = case_of(name)
    graph = case.graph()
    plain = QuantizeOptions(rounding="nearest", bias_correction=False)
    quantized = quantize(graph, observe(graph, case.images[:, None]), plain).model
    want = GraphRunner(quantized, optimize=False).run(case.images)["logits"]
    for format, suffix in SUFFIXES.items():
        if format != "tflite" and name not in IN_ALL_RUNTIMES:
            continue
        path = tmp_path / f"{name}{suffix}"
        emitted = emit(quantized, path, format, INTEGERS)
        # Equal but for rare ties of rounding, which a deep network of random weights amplifies.
        assert sqnr_db(want, answers_of(path, case.images)) > 15, format
        if format == "tflite":
            assert_rendered_well(name, path, emitted)
