"""Every family as ONNX and OpenVINO: answers like the graph, in integers only when it is int8."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch

from edgekit.capture import capture
from edgekit.emit import EmitOptions, emit
from edgekit.graph.run import GraphRunner
from edgekit.models import zoo
from edgekit.models.module import build
from edgekit.options import Format, Precision
from edgekit.parity import max_relative_error, sqnr_db
from edgekit.runtimes import load
from edgekit.runtimes.base import IntegerCoverage
from edgekit.runtimes.onnx_coverage import integer_coverage as onnx_coverage
from edgekit.runtimes.openvino import integer_coverage as openvino_coverage

SIDE = 64
FIRST_OF_FAMILIES = ["mobilenet_v1", "mobilenet_v2", "efficientnet_b0", "efficientnet_lite0", "squeezenet1_0"]
IMAGES = np.random.default_rng(0).standard_normal((2, 3, SIDE, SIDE)).astype(np.float32)
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "openvino": ".xml"}
RELATIVE_ERROR: dict[Precision, float] = {"fp32": 1e-4, "fp16": 1e-2, "dynamic": 0.2}


@cache
def _captured(name: str) -> bytes:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    module = build(zoo.network(name, resolution=SIDE, num_classes=20)).eval()
    proto: onnx.ModelProto = ir.to_proto(capture(module, (1, 3, SIDE, SIDE)))
    return bytes(proto.SerializeToString())


def network(name: str) -> ir.Model:
    """A fresh copy of a captured network, small enough for tests."""
    return ir.from_proto(onnx.load_from_string(_captured(name)))


def simulated(model: ir.Model) -> Any:
    return GraphRunner(model, optimize=False).run(IMAGES)[model.graph.outputs[0].name or ""]


def answers(path: Path) -> Any:
    runner = load(path)
    return np.concatenate([runner.run(image[None]) for image in IMAGES])


def coverage_of(path: Path) -> IntegerCoverage:
    return onnx_coverage(path) if path.suffix == ".onnx" else openvino_coverage(path)


@pytest.mark.parametrize("name", FIRST_OF_FAMILIES)
@pytest.mark.parametrize("format", SUFFIXES)
def test_float_families_answer_like_the_graph(name: str, format: Format, tmp_path: Path) -> None:
    model = network(name)
    want = simulated(model)
    for precision, limit in RELATIVE_ERROR.items():
        path = tmp_path / f"{precision}{SUFFIXES[format]}"
        emit(model, path, format, EmitOptions(precision))
        assert max_relative_error(want, answers(path)) < limit, precision


@pytest.mark.parametrize("name", FIRST_OF_FAMILIES)
@pytest.mark.parametrize("format", SUFFIXES)
def test_int8_families_run_in_integers(
    name: str, format: Format, quantize_small: Any, tmp_path: Path
) -> None:
    model = quantize_small(network(name), IMAGES)
    path = tmp_path / f"net{SUFFIXES[format]}"
    emit(model, path, format, EmitOptions("int8"))
    coverage = coverage_of(path)
    assert coverage.is_complete, coverage
    # Kernels round their last bit differently, which a deep network of random weights amplifies.
    assert sqnr_db(simulated(model), answers(path)) > 15
