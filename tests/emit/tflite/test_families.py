"""Every family as a whole: parity with onnxruntime, no transposes, and one delegate partition."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch

from edgekit.capture import capture
from edgekit.emit import EmitOptions
from edgekit.models import zoo
from edgekit.models.module import build
from edgekit.options import Precision
from edgekit.parity import sqnr_db

SIDE = 96
FIRST_OF_FAMILIES = ["mobilenet_v1", "mobilenet_v2", "efficientnet_b0", "efficientnet_lite0", "squeezenet1_0"]
IMAGES = np.random.default_rng(0).standard_normal((4, 3, SIDE, SIDE)).astype(np.float32)
RELATIVE_ERROR = {"fp32": 1e-4, "fp16": 1e-2, "dynamic": 0.2}


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


def assert_rendered_well(result: Any) -> None:
    assert "TRANSPOSE" not in result.emitted.details["operators"]
    assert result.delegation.partitions == 1
    assert result.delegation.left == ()


@pytest.mark.parametrize("name", FIRST_OF_FAMILIES)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "dynamic"])
def test_float_families_answer_like_onnxruntime(name: str, precision: Precision, compare: Any) -> None:
    result = compare(network(name), IMAGES, EmitOptions(precision))
    assert result.relative_error < RELATIVE_ERROR[precision]
    assert_rendered_well(result)


@pytest.mark.parametrize("name", FIRST_OF_FAMILIES)
def test_int8_families_answer_like_onnxruntime(name: str, quantize_small: Any, compare: Any) -> None:
    result = compare(quantize_small(network(name), IMAGES), IMAGES, EmitOptions("int8"))
    # Single operators round alike but for rare ties, which a deep network of random weights amplifies.
    assert sqnr_db(result.want, result.want + result.error) > 15
    assert result.emitted.dtypes.keys() == {"int8", "int32"}
    assert_rendered_well(result)
