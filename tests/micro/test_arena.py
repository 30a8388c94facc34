"""The planned arena against hand-worked cases, and against the one that TensorFlow Lite Micro takes."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.micro.arena import ALIGNMENT_BYTES, Buffer, place, plan_arena
from edgekit.micro.interpreter import run
from edgekit.runtimes.tflite_file import TfliteFile, read
from family_files import network_file

MICROCONTROLLER_NETWORKS = {
    "mobilenet_v1": (0.25, 96),
    "mobilenet_v2": (0.35, 96),
    "efficientnet_lite0": (1.0, 224),
}


def measured_bytes(file: TfliteFile) -> int:
    source = file.tensors[file.inputs[0]]
    return run(file.path, [np.zeros(source.shape, source.dtype)]).arena.total_bytes


def test_buffers_of_one_time_lie_side_by_side_and_others_share() -> None:
    first, second, third = Buffer(64, 0, 1), Buffer(32, 1, 2), Buffer(48, 2, 3)
    assert {one.buffer: one.offset for one in place([first, second, third])} == {
        first: 0,
        third: 0,
        second: 64,
    }


def test_a_gap_is_filled_when_it_is_large_enough() -> None:
    large, middle, small = Buffer(100, 0, 1), Buffer(60, 1, 2), Buffer(40, 2, 2)
    offsets = {one.buffer: one.offset for one in place([large, middle, small])}
    assert offsets[small] == 0  # below the middle one, where the large one was


@given(
    st.lists(
        st.tuples(st.integers(1, 50), st.integers(0, 9), st.integers(0, 9)).map(
            lambda item: Buffer(item[0] * ALIGNMENT_BYTES, min(item[1:]), max(item[1:]))
        ),
        max_size=20,
    )
)
def test_nothing_that_lives_together_overlaps(buffers: list[Buffer]) -> None:
    placed = place(buffers)
    assert len(placed) == len(buffers)
    for one, other in combinations(placed, 2):
        if one.buffer.first_use <= other.buffer.last_use and other.buffer.first_use <= one.buffer.last_use:
            assert one.end <= other.offset or other.end <= one.offset


@pytest.mark.parametrize("name", MICROCONTROLLER_NETWORKS)
def test_networks_for_microcontrollers_are_planned_to_the_byte(name: str) -> None:
    pytest.importorskip("tflite_micro", reason="needs edgekit[microcontrollers]")
    width, side = MICROCONTROLLER_NETWORKS[name]
    file = read(network_file(name, width, side, num_classes=1000))
    plan = plan_arena(file)
    assert plan.total_bytes == measured_bytes(file)
    assert plan.activation_bytes == plan.peak_live_bytes  # no order-preserving plan is smaller


def test_efficientnet_lite0_needs_no_more_than_1_7_megabytes() -> None:
    plan = plan_arena(read(network_file("efficientnet_lite0", 1.0, 224, num_classes=1000)))
    assert plan.total_bytes <= 1.7e6
    # Two tensors of its first block at once: 112 × 112 × 96 and 56 × 56 × 96.
    assert plan.activation_bytes == 112 * 112 * 96 + 56 * 56 * 96


def test_float_files_are_planned_too() -> None:
    pytest.importorskip("tflite_micro", reason="needs edgekit[microcontrollers]")
    file = read(network_file("mobilenet_v1", precision="fp32"))
    assert plan_arena(file).total_bytes == pytest.approx(measured_bytes(file), rel=0.05)


def test_arms_kernels_need_scratch_memory_while_they_run() -> None:
    file = read(network_file("mobilenet_v1"))
    scratch = [one.buffer for one in plan_arena(file, "cmsis-nn").placed if one.buffer.tensor is None]
    assert scratch
    assert all(one.first_use == one.last_use for one in scratch)
    first = min(scratch, key=lambda one: one.first_use)  # of the 3 × 3 × 3 stem: two int16 columns
    assert first.size_bytes == 2 * 2 * 28
