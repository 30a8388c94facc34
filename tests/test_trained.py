"""int8 on networks that have learned something: what it may cost, in all three formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest

import edgekit
from edgekit.emit import EmitOptions, emit
from edgekit.evaluation import artifact_logits
from edgekit.graph.run import GraphRunner
from edgekit.options import ExportOptions, Format
from edgekit.quantize import observe, pixel_params, quantize
from trained import PREPROCESSING, RECIPES, save_digits, save_weights, top1, trained

FORMATS: dict[Format, str] = {"tflite": ".tflite", "onnx": ".onnx", "openvino": ".xml"}
LEARNED = 85.0  # percent of digits that were not trained on
LARGEST_DROP = 1.5  # points, of 500 digits
LEAST_AGREEMENT = 96.0
CALIBRATED = 64


@pytest.mark.parametrize("name", RECIPES)
def test_int8_loses_little_of_what_was_learned(name: str, tmp_path: Path) -> None:
    network = trained(name)
    assert network.top1 > LEARNED
    observation = observe(network.graph, network.calibration[:CALIBRATED, None])
    model = quantize(network.graph, observation, input_params=pixel_params(PREPROCESSING)).model
    expected = next(iter(GraphRunner(network.graph).run(network.images).values()))
    assert top1(expected, network.labels) == pytest.approx(network.top1, abs=0.41)  # two digits at an edge
    for format_, suffix in FORMATS.items():
        emitted = emit(model, tmp_path / f"{name}{suffix}", format_, EmitOptions(precision="int8"))
        logits = artifact_logits(emitted.path, emitted.input, emitted.output, network.images[:, None])
        agreement = 100 * float((logits.argmax(1) == expected.argmax(1)).mean())
        assert network.top1 - top1(logits, network.labels) <= LARGEST_DROP, format_
        assert agreement >= LEAST_AGREEMENT, format_


def test_two_bits_would_be_noticed() -> None:
    """The bound is one that quantization can break."""
    network = trained("mobilenet_v1")
    observation = observe(network.graph, network.calibration[:CALIBRATED, None])
    model = quantize(network.graph, observation, input_params=pixel_params(PREPROCESSING)).model
    for initializer in model.graph.initializers.values():
        if initializer.name is not None and initializer.name.endswith(".weight.quantized"):
            tensor = initializer.const_value
            assert tensor is not None
            coarse = np.clip(np.rint(tensor.numpy() / 64) * 64, -127, 127).astype(np.int8)
            initializer.const_value = ir.tensor(coarse, name=initializer.name)
    logits = next(iter(GraphRunner(model).run(network.images).values()))
    assert network.top1 - top1(logits, network.labels) > LARGEST_DROP


def test_weights_and_digits_go_through_files(tmp_path: Path) -> None:
    network = trained("efficientnet_b0")
    options = ExportOptions(
        target="onnx",
        precision="fp32",
        out_dir=tmp_path / "out",
        scale=network.training.scale,
        weights=str(save_weights("efficientnet_b0", tmp_path)),
    )
    artifact = edgekit.export("efficientnet_b0", options).artifacts[0]
    found = edgekit.evaluate(artifact.path, save_digits(tmp_path / "digits", 500, tested=True))
    assert found.top1 == pytest.approx(network.top1, abs=0.21)
