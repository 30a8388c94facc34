"""LiteRT's GPU accelerator: the whole network, the processor's answers, and what is missing by name."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import get_args

import numpy as np
import numpy.typing as npt
import pytest

from edgekit.emit import EmitOptions, emit
from edgekit.errors import UnknownNameError, UnsupportedError
from edgekit.runtimes import accelerators, gpu_kernels, load, tflite_file, tflite_gpu, vulkan
from edgekit.runtimes.accelerators import ACCELERATORS, find
from edgekit.target import Accelerator
from graphs import NETWORKS, GraphBuilder

FloatArray = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolutional network of seven operators: shaders compile slowly in software."""
    builder = GraphBuilder([1, 3, 24, 24])
    path = tmp_path_factory.mktemp("gpu") / "plain.tflite"
    emit(builder.model(NETWORKS["plain"](builder)), path, "tflite", EmitOptions("fp32"))
    return path


@pytest.mark.usefixtures("gpu")
def test_the_whole_network_is_accelerated_and_answers_as_on_the_processor(plain: Path) -> None:
    runner = tflite_gpu.load(plain, precise=True)
    assert runner.acceleration.is_complete
    assert runner.acceleration.total_ops == 7
    assert runner.acceleration.adapter
    got, want = answers(runner, plain)
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= 1e-2 * np.abs(want).max()


def test_operators_that_stay_behind_are_named() -> None:
    said = (
        "Selected adapter: llvmpipe (LLVM 15.0.6, 256 bits), arch=software, adapterType=CPU / Software\n"
        "ERROR: Following operations are not supported by GPU delegate:\n"
        "ZEROS_LIKE: Operation is not supported.\nSELECT: Not supported.\n34 operations will run on the GPU\n"
    )
    adapter, left = tflite_gpu.parse_log(said)
    assert adapter == "llvmpipe (LLVM 15.0.6, 256 bits)"
    assert left == ("ZEROS_LIKE: Operation is not supported.", "SELECT: Not supported.")


def test_without_a_graphics_processor_it_is_said_what_was_looked_for(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(vulkan, "devices", lambda: None)
    with pytest.raises(UnsupportedError, match=r"looked for Vulkan's libvulkan\.so\.1"):
        tflite_gpu.load(plain)


def test_every_accelerator_of_targets_can_be_looked_for() -> None:
    assert set(ACCELERATORS) == set(get_args(Accelerator))
    for name in ACCELERATORS:
        assert find(name).looked_for
    with pytest.raises(UnknownNameError, match="unknown accelerator"):
        find("litert-npu")


def test_a_real_device_is_preferred_to_software(monkeypatch: pytest.MonkeyPatch) -> None:
    both = (vulkan.VulkanDevice("llvmpipe", is_software=True), vulkan.VulkanDevice("Arc", is_software=False))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(vulkan, "devices", lambda: both)
    assert (found := accelerators.find("litert-gpu")).found == "Arc"
    assert not found.is_software
    monkeypatch.setattr(vulkan, "devices", lambda: both[:1])
    assert accelerators.find("litert-gpu").found == "llvmpipe (software, on the processor)"


@pytest.mark.usefixtures("gpu")
def test_vulkan_names_its_devices() -> None:
    assert all(device.name.isprintable() and device.name for device in vulkan.devices() or ())


@pytest.mark.usefixtures("gpu")
def test_a_classifier_of_a_whole_image_answers_as_on_the_processor(tmp_path: Path) -> None:
    """Where FULLY_CONNECTED has to flatten an image by itself, the accelerator answers wrongly."""
    builder = GraphBuilder([1, 3, 4, 4])
    path = tmp_path / "flat.tflite"
    logits = builder.gemm(builder.op("Flatten", builder.image, axis=1), 10)
    emit(builder.model(logits), path, "tflite", EmitOptions("fp32"))
    got, want = answers(tflite_gpu.load(path, precise=True), path)
    assert np.abs(got - want).max() <= 1e-3 * np.abs(want).max()


@pytest.mark.parametrize(
    ("group", "channels", "filters", "is_wrong"),
    [(1, 6, 6, False), (4, 16, 16, False), (2, 16, 8, False), (4, 8, 8, True), (4, 16, 8, True)],
)
def test_groups_that_the_accelerator_answers_with_zeros_are_known(
    group: int, channels: int, filters: int, is_wrong: bool, tmp_path: Path
) -> None:
    path = grouped(tmp_path, group, channels, filters)
    (found,) = gpu_kernels.wrong_operators(tflite_file.read(path)) or ("",)
    assert ("do not come in fours" in found) == is_wrong


@pytest.mark.usefixtures("gpu")
def test_groups_of_four_channels_answer_as_on_the_processor(tmp_path: Path) -> None:
    path = grouped(tmp_path, 4, 16, 16)
    got, want = answers(tflite_gpu.load(path, precise=True), path)
    assert np.abs(got - want).max() <= 1e-3 * np.abs(want).max()


def answers(runner: tflite_gpu.GpuRunner, path: Path) -> tuple[FloatArray, FloatArray]:
    """What the accelerator and the processor say to a random image."""
    image = np.random.default_rng(0).standard_normal(runner.input.shape).astype(np.float32)
    return runner.run(image).astype(np.float32), load(path).run(image).astype(np.float32)


def grouped(folder: Path, group: int, channels: int, filters: int) -> Path:
    builder = GraphBuilder([1, channels, 8, 8])
    path = folder / "grouped.tflite"
    emit(
        builder.model(builder.conv(builder.image, filters, group=group)), path, "tflite", EmitOptions("fp32")
    )
    return path
