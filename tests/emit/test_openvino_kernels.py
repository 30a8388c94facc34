"""Kernel hints in OpenVINO files: where they are, and that no reader or processor stumbles over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import openvino
import pytest

from edgekit.emit import EmitOptions, emit
from edgekit.emit.openvino_kernels import FEW_CHANNELS
from edgekit.graph.run import GraphRunner
from edgekit.options import Precision
from edgekit.parity import sqnr_db
from edgekit.runtimes import load
from graphs import GraphBuilder

IMAGES = np.random.default_rng(1).standard_normal((6, 3, 24, 24)).astype(np.float32)
HINT = '<attribute name="primitives_priority" version="0" value="cpu:jit_avx512" />'
_HINTED = "rt_info/attribute[@name='primitives_priority']"


@pytest.fixture
def quantized(small_network: ir.Model, quantize_small: Any) -> ir.Model:
    model: ir.Model = quantize_small(small_network, IMAGES)
    return model


@pytest.fixture
def file(quantized: ir.Model, tmp_path: Path) -> Path:
    emit(quantized, tmp_path / "net.xml", "openvino", EmitOptions("int8"))
    return tmp_path / "net.xml"


def hinted(path: Path) -> list[str]:
    layers = ElementTree.parse(path).iterfind("layers/layer")
    return [str(la.get("name")) for la in layers if la.find(_HINTED) is not None]


def of_images(path: Path) -> list[str]:
    """The convolutions that the runtime itself finds to read few channels, over more than one pixel."""
    operations = openvino.Core().read_model(path).get_ordered_ops()
    convolutions = [o for o in operations if o.get_type_name() == "Convolution"]
    wide = [o for o in convolutions if max(list(o.input(1).get_shape())[2:]) > 1]
    return [o.get_friendly_name() for o in wide if o.input(0).get_shape()[1] <= FEW_CHANNELS]


def answers(path: Path) -> npt.NDArray[Any]:
    runner = load(path)
    return np.concatenate([runner.run(image[None]) for image in IMAGES])


def test_the_convolution_of_the_image_is_hinted_and_no_other(file: Path) -> None:
    assert len(hinted(file)) == 1
    assert hinted(file) == of_images(file)


def test_openvino_knows_the_hint(file: Path) -> None:
    operations = openvino.Core().read_model(file).get_ordered_ops()
    assert [o.get_friendly_name() for o in operations if "primitives_priority_0" in o.get_rt_info()] == (
        hinted(file)
    )


@pytest.mark.parametrize("other", ["", HINT.replace("primitives_priority", "of_another_release")])
def test_the_hint_changes_no_answer(file: Path, other: str) -> None:
    want = answers(file)
    text = file.read_text("utf-8")
    assert HINT in text
    file.write_text(text.replace(HINT, other), "utf-8")
    np.testing.assert_array_equal(answers(file), want)


def test_a_kernel_that_the_processor_lacks_is_passed_over(file: Path) -> None:
    want = answers(file)
    file.write_text(file.read_text("utf-8").replace("cpu:jit_avx512", "cpu:jit_sve512"), "utf-8")
    np.testing.assert_array_equal(answers(file), want)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "dynamic"])
def test_float_files_have_no_hints(small_network: ir.Model, precision: Precision, tmp_path: Path) -> None:
    emit(small_network, tmp_path / "net.xml", "openvino", EmitOptions(precision))
    assert not hinted(tmp_path / "net.xml")


@pytest.mark.parametrize(("channels", "groups"), [(68, 4), (96, 2), (64, 2), (130, 2)])
def test_groups_of_any_depth_are_right(
    quantize_small: Any, tmp_path: Path, channels: int, groups: int
) -> None:
    builder = GraphBuilder((1, channels * groups, 7, 7))
    model = builder.model(builder.conv(builder.image, channels * groups, 1, group=groups))
    images = np.random.default_rng(2).standard_normal((2, channels * groups, 7, 7)).astype(np.float32)
    quantized = quantize_small(model, images)
    emit(quantized, tmp_path / "net.xml", "openvino", EmitOptions("int8"))
    # Float32 answers are not rounded.
    raw = quantized.graph.outputs[0].producer().inputs[0].producer().inputs[0].name
    (want,) = GraphRunner(quantized, [raw], optimize=False).run(images).values()
    found = np.concatenate([load(tmp_path / "net.xml").run(image[None]) for image in images])
    assert sqnr_db(want.reshape(2, -1), found.reshape(2, -1)) > 50
    assert bool(hinted(tmp_path / "net.xml")) == (channels > 64)
