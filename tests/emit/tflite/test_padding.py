"""Windows of every geometry: the file's padding against onnxruntime's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgekit.emit import EmitOptions
from edgekit.emit.tflite.padding import Side

windows = st.fixed_dictionaries(
    {
        "size": st.integers(6, 17),
        "kernel": st.integers(1, 5),
        "stride": st.integers(1, 3),
        "top": st.integers(0, 2),
        "bottom": st.integers(0, 2),
        "left": st.integers(0, 2),
        "right": st.integers(0, 2),
        "depthwise": st.booleans(),
    }
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(window=windows)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_any_window_equals_onnxruntime(
    precision: Any, window: dict[str, int], new_graph: Any, quantize_small: Any, compare: Callable[..., Any]
) -> None:
    builder = new_graph((1, 4, window["size"], window["size"] + 1))
    pads = [window[side] for side in ("top", "left", "bottom", "right")]
    group = 4 if window["depthwise"] else 1
    model = builder.model(
        builder.conv(builder.image, 4, window["kernel"], window["stride"], pads, group=group)
    )
    batch = builder.normal(2, 4, window["size"], window["size"] + 1)
    if precision == "int8":
        model = quantize_small(model, batch)
    result = compare(model, batch, EmitOptions(precision))
    if precision == "int8":
        assert result.steps.max() <= 1
    else:
        assert result.error.max() < 1e-5
    assert not result.delegation.left


@given(size=st.integers(1, 300), kernel=st.integers(1, 9), stride=st.integers(1, 4))
def test_same_is_recognized_by_tensorflows_own_formula(size: int, kernel: int, stride: int) -> None:
    # As TensorFlow documents SAME: the remainder of the size decides how much is padded.
    total = max(kernel - (size % stride or stride), 0)
    side = Side(kernel, stride, 1, total // 2, size, -(-size // stride))
    assert side.is_same
    assert side.is_valid == (total == 0)
    if total:
        assert not Side(kernel, stride, 1, total // 2 + 1, size, -(-size // stride)).is_same


def test_padding_that_no_window_reads_is_left_out() -> None:
    # Torch's 3 × 3 stride-2 convolution of 224 pixels pads both sides; the last row is never read.
    side = Side(kernel=3, stride=2, dilation=1, before=1, input_size=224, output_size=112)
    assert (side.before, side.after) == (1, 0)
    assert not side.is_same
    assert not side.is_valid


@pytest.mark.parametrize(
    ("pads", "size", "operators"),
    [
        ([0, 0, 0, 0], 9, {"CONV_2D"}),
        ([0, 0, 1, 1], 8, {"CONV_2D"}),
        ([1, 1, 1, 1], 9, {"CONV_2D"}),
        ([1, 1, 1, 1], 8, {"PAD", "CONV_2D"}),
    ],
)
def test_an_operator_pads_only_where_no_scheme_is_exact(
    pads: list[int], size: int, operators: set[str], new_graph: Any, compare: Callable[..., Any]
) -> None:
    builder = new_graph((1, 3, size, size))
    model = builder.model(builder.conv(builder.image, 4, 3, 2, pads))
    result = compare(model, np.ones((1, 3, size, size), np.float32), EmitOptions())
    assert set(result.emitted.details["operators"]) == operators
