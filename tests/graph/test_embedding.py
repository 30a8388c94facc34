"""Raw pixels into the network: the same answers as normalizing outside, in every format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import pytest

from edgekit import runtimes
from edgekit.emit import EmitOptions, emit
from edgekit.errors import UnsupportedError
from edgekit.evaluation import encode, network_input
from edgekit.graph.embedding import NODE, embed_normalization, is_pixel_grid, of_pixels
from edgekit.graph.run import GraphRunner
from edgekit.images import normalize, to_batch
from edgekit.options import Format, Precision, Preprocessing, TensorSpec
from edgekit.quantize import observe, pixel_params, quantize
from graphs import NETWORKS, GraphBuilder

EQUAL = Preprocessing(crop=24, mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
BY_CHANNEL = Preprocessing(crop=24)
FORMATS: dict[Format, str] = {"tflite": ".tflite", "onnx": ".onnx", "openvino": ".xml"}
RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (6, 24, 24, 3), np.uint8)


def network() -> ir.Model:
    """Its first convolution pads, which is where normalizing inside can go wrong."""
    builder = GraphBuilder((1, 3, 24, 24))
    return builder.model(NETWORKS["gated"](builder))


def batches(preprocessing: Preprocessing) -> list[npt.NDArray[np.float32]]:
    return [to_batch(normalize(image, preprocessing)) for image in PIXELS]


def quantized(preprocessing: Preprocessing) -> ir.Model:
    model = network()
    observation = observe(model, batches(preprocessing))
    return quantize(model, observation, input_params=pixel_params(preprocessing)).model


def has_convolution(model: ir.Model) -> bool:
    return any(node.name == NODE for node in model.graph)


@pytest.mark.parametrize(
    ("mean", "std", "is_grid"),
    [
        ((127 / 255,) * 3, (128 / 255,) * 3, True),
        ((0.0,) * 3, (1.0,) * 3, True),
        ((0.2,) * 3, (0.3,) * 3, True),
        ((0.49,) * 3, (0.25,) * 3, True),
        ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), False),
        ((0.5, 0.5, 0.4), (0.5, 0.5, 0.5), False),
    ],
)
def test_equal_channels_are_pixels_already(
    mean: tuple[float, ...], std: tuple[float, ...], is_grid: bool
) -> None:
    preprocessing = Preprocessing(mean=mean, std=std)
    params = pixel_params(preprocessing)
    assert is_pixel_grid(params.scale, params.zero_point, preprocessing) == is_grid
    assert not is_pixel_grid(params.scale * 1.01, params.zero_point, preprocessing)


@pytest.mark.parametrize("preprocessing", [EQUAL, BY_CHANNEL], ids=["equal", "by channel"])
def test_a_float_network_answers_alike_up_to_its_borders(preprocessing: Preprocessing) -> None:
    model = network()
    inside = GraphRunner(embed_normalization(model, preprocessing), ["layer0.conv", "logits"])
    outside = GraphRunner(model, ["layer0.conv", "logits"])
    for image in PIXELS:
        expected = outside.run(to_batch(normalize(image, preprocessing)))
        found = inside.run(to_batch(image.astype(np.float32)))
        for name, values in expected.items():
            assert np.allclose(found[name], values, rtol=0, atol=2e-6 * np.abs(values).max())


def test_the_first_layer_gets_the_integers_of_external_normalization() -> None:
    """All 256 values of each channel, against rounding outside; a step apart only at the edge between two."""
    model = embed_normalization(quantized(BY_CHANNEL), BY_CHANNEL)
    ramp = np.zeros((24, 24, 3), np.uint8)
    ramp.reshape(-1, 3)[:256] = np.arange(256, dtype=np.uint8)[:, None]
    params = pixel_params(BY_CHANNEL)
    normalized = to_batch(normalize(ramp, BY_CHANNEL)) / np.float32(params.scale)
    expected = np.clip(np.rint(normalized) + params.zero_point, -128, 127)
    found = GraphRunner(model, ["image.quantized"]).run(to_batch(ramp.astype(np.float32)))["image.quantized"]
    wrong = found != expected
    assert np.abs(found - expected).max() <= 1
    assert np.all(np.abs(normalized - np.floor(normalized) - 0.5)[wrong] < 0.005)
    assert wrong.reshape(3, -1)[:, :256].sum() <= 4


@pytest.mark.parametrize("format_", FORMATS)
def test_equal_channels_answer_to_the_last_bit(format_: Format, tmp_path: Path) -> None:
    model = quantized(EQUAL)
    embedded = embed_normalization(model, EQUAL)
    assert not has_convolution(embedded)
    outside = written(model, tmp_path / "outside", format_, "int8", EQUAL, takes_pixels=False)
    inside = written(embedded, tmp_path / "inside", format_, "int8", of_pixels(EQUAL), takes_pixels=True)
    assert np.array_equal(answers(*outside, EQUAL), answers(*inside, EQUAL))


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "dynamic"])
def test_every_file_takes_bytes(format_: Format, precision: Precision, tmp_path: Path) -> None:
    model = quantized(BY_CHANNEL) if precision == "int8" else network()
    embedded = embed_normalization(model, BY_CHANNEL)
    assert has_convolution(embedded)
    outside = written(model, tmp_path / "outside", format_, precision, BY_CHANNEL, takes_pixels=False)
    inside = written(
        embedded, tmp_path / "inside", format_, precision, of_pixels(BY_CHANNEL), takes_pixels=True
    )
    assert runtimes.load(inside[0]).input.dtype == "uint8"
    expected, found = answers(*outside, BY_CHANNEL), answers(*inside, BY_CHANNEL)
    tolerance = {"fp32": 1e-5, "fp16": 5e-3, "int8": 0.02, "dynamic": 0.02}[precision]
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


def test_a_first_layer_that_is_not_int8_is_refused() -> None:
    model = quantized(BY_CHANNEL)
    image = model.graph.inputs[0]
    pair = next(use.node for use in image.uses())
    ir.convenience.replace_all_uses_with(next(iter(pair.outputs[0].uses())).node.outputs[0], image)
    with pytest.raises(UnsupportedError, match="so pixels cannot be its integers"):
        embed_normalization(without_input_pair(model), BY_CHANNEL)


def without_input_pair(model: ir.Model) -> ir.Model:
    for node in reversed(list(model.graph)):
        if not any(value.uses() or value.is_graph_output() for value in node.outputs):
            model.graph.remove(node)
    return model


def written(
    model: ir.Model,
    folder: Path,
    format_: Format,
    precision: Precision,
    preprocessing: Preprocessing,
    *,
    takes_pixels: bool,
) -> tuple[Path, TensorSpec]:
    folder.mkdir()
    options = EmitOptions(
        precision=precision,
        input_type="uint8" if takes_pixels and precision == "int8" else None,
        output_type="float32",
        takes_pixels=takes_pixels,
        preprocessing=preprocessing,
    )
    emitted = emit(model, folder / f"network{FORMATS[format_]}", format_, options)
    if not takes_pixels:
        return emitted.path, emitted.input
    layout = emitted.input.layout
    return emitted.path, TensorSpec(
        emitted.input.name, emitted.input.shape, layout, "uint8", 1.0, 0, "embedded"
    )


def answers(path: Path, spec: TensorSpec, preprocessing: Preprocessing) -> npt.NDArray[np.float32]:
    runner = runtimes.load(path)
    batches = [network_input(image, preprocessing, spec) for image in PIXELS]
    return np.concatenate([runner.run(encode(batch, spec)) for batch in batches]).astype(np.float32)
