"""Layers of real files: the three formats, broken layers, other tools' names, wrong references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import edgekit
from edgekit.diagnosis import LayersComparison, compare_layers
from edgekit.errors import InputError, ModelFileError
from edgekit.options import ExportOptions
from small_models import save_images, save_onnx

FORMATS = {"tflite": "tflite", "onnx": "onnx", "openvino": "xml"}
UNROUNDED = ("layer4.conv", "layer5.conv", "logits_2")
"""Layers that OpenVINO files give as they are: both terms of a sum, and the answers."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network's fp32 and int8 files in all formats, and images."""
    folder = tmp_path_factory.mktemp("layers")
    model = save_onnx(folder / "plain.onnx")
    images = save_images(folder / "images", range(10))
    for precision in ("fp32", "int8"):
        edgekit.export(
            str(model),
            ExportOptions(
                target="all", precision=precision, out_dir=folder / "out", calibration=images, samples=10
            ),
        )
    return folder


def compared(folder: Path, reference: str, artifact: str) -> LayersComparison:
    return compare_layers(folder / "out" / reference, folder / "out" / artifact, folder / "images", samples=4)


def by_name(result: LayersComparison) -> dict[str, float]:
    return {layer.name: layer.output_sqnr_db for layer in result.layers}


@pytest.mark.parametrize("suffix", FORMATS.values(), ids=FORMATS)
def test_every_layer_of_our_files_is_found_by_name(folder: Path, suffix: str) -> None:
    result = compared(folder, f"plain_fp32.{suffix}", f"plain_int8.{suffix}")
    assert result.unmatched == ()
    assert {layer.matched_by for layer in result.layers} == {"name"}
    assert [layer.op for layer in result.layers] == ["Conv"] * 4 + ["Add", "AveragePool", "Gemm"]
    for layer in result.layers:
        if suffix == "xml" and layer.name in UNROUNDED:
            assert layer.activation_sqnr_db is None
        else:
            assert layer.activation_sqnr_db is not None
            assert layer.activation_sqnr_db > 15
        assert (layer.weight_sqnr_db is not None) == (layer.op in ("Conv", "Gemm"))
        assert sum(channel.noise_share for channel in layer.worst_channels) <= 1.0001
    assert result.layers[-1].output_sqnr_db == pytest.approx(result.sqnr_db, abs=0.01)


def test_the_formats_tell_the_same(folder: Path) -> None:
    results = {
        suffix: compared(folder, "plain_fp32.onnx", f"plain_int8.{suffix}") for suffix in FORMATS.values()
    }
    first = results["onnx"]
    for suffix, result in results.items():
        for one, other in zip(result.layers, first.layers, strict=True):
            assert (one.name, one.op) == (other.name, other.op)
            assert one.weight_sqnr_db == pytest.approx(other.weight_sqnr_db, abs=0.05)
            if suffix == "xml" and (one.name in UNROUNDED or one.op == "Add"):
                assert one.output_sqnr_db > other.output_sqnr_db + 1
                continue
            # Runtimes round an average to one or the other of two neighbouring integers.
            assert one.output_sqnr_db == pytest.approx(other.output_sqnr_db, abs=2.5)
            assert one.activation_sqnr_db == pytest.approx(other.activation_sqnr_db, abs=0.05)


def test_a_network_agrees_with_itself_exactly(folder: Path) -> None:
    result = compared(folder, "plain_fp32.onnx", "plain_fp32.onnx")
    assert {layer.output_sqnr_db for layer in result.layers} == {np.inf}
    assert result.agreement == 100
    assert all(layer.suggestion is None for layer in result.layers)


def test_the_model_can_be_the_reference(folder: Path) -> None:
    result = compare_layers(str(folder / "plain.onnx"), folder / "out" / "plain_int8.tflite", samples=2)
    assert result.unmatched == ()
    assert any("generated images" in warning for warning in result.warnings)


def damaged(folder: Path, layer: str) -> Path:
    """The int8 ONNX file with five bits fewer in one layer's weights."""
    model = onnx.load(folder / "out" / "plain_int8.onnx")
    sources = {node.output[0]: node.input[0] for node in model.graph.node}
    (weight,) = (sources[node.input[1]] for node in model.graph.node if node.name == layer)
    (tensor,) = (one for one in model.graph.initializer if one.name == weight)
    coarse = np.rint(numpy_helper.to_array(tensor) / 32) * 32
    tensor.CopyFrom(numpy_helper.from_array(coarse.clip(-127, 127).astype(np.int8), weight))
    path = folder / "out" / "damaged_int8.onnx"
    onnx.save(model, path)
    return path


def test_a_damaged_layer_is_the_one_that_is_named(folder: Path) -> None:
    healthy = compared(folder, "plain_fp32.onnx", "plain_int8.onnx")
    weighted = [layer.name for layer in healthy.layers if layer.weight_sqnr_db is not None]
    victim = weighted[1]
    path = damaged(folder, victim)
    result = compare_layers(folder / "out" / "plain_fp32.onnx", path, folder / "images", samples=4)
    assert [layer.name for layer in result.layers if layer.suggestion is not None] == [victim]
    losses = {
        one.name: other.weight_sqnr_db - one.weight_sqnr_db
        for one, other in zip(result.layers, healthy.layers, strict=True)
        if one.weight_sqnr_db is not None and other.weight_sqnr_db is not None
    }
    assert losses.pop(victim) > 15
    assert max(losses.values()) == pytest.approx(0, abs=0.01)


def test_names_of_another_tool_do_not_matter(folder: Path) -> None:
    model = onnx.load(folder / "out" / "plain_int8.onnx")
    names = {name for node in model.graph.node for name in (*node.input, *node.output)}
    ends = {model.graph.input[0].name, model.graph.output[0].name}
    new = {name: name if name in ends else f"v{i}" for i, name in enumerate(sorted(names))}
    for i, node in enumerate(model.graph.node):
        node.name = f"n{i}"
        node.input[:] = [new[name] for name in node.input]
        node.output[:] = [new[name] for name in node.output]
    for tensor in model.graph.initializer:
        tensor.name = new[tensor.name]
    del model.graph.value_info[:]
    path = folder / "out" / "renamed.onnx"
    onnx.save(model, path)
    ours = compared(folder, "plain_fp32.tflite", "plain_int8.onnx")
    theirs = compared(folder, "plain_fp32.tflite", "renamed.onnx")
    assert by_name(theirs) == by_name(ours)
    assert {layer.matched_by for layer in theirs.layers} <= {"weights", "structure", "name"}


def test_another_network_is_refused(folder: Path) -> None:
    other = save_onnx(folder / "other.onnx", seed=1)
    with pytest.raises(InputError, match="not the same network with the same weights"):
        compare_layers(str(other), folder / "out" / "plain_int8.tflite", samples=1)


def test_a_damaged_file_is_refused(folder: Path) -> None:
    path = folder / "torn.onnx"
    path.write_bytes(b"no protobuf")
    with pytest.raises(ModelFileError, match=r"torn\.onnx"):
        compare_layers(folder / "out" / "plain_fp32.onnx", path)
    with pytest.raises(ModelFileError, match="expected one of"):
        compare_layers(folder / "out" / "plain_fp32.onnx", folder / "plain.bin")


def test_equal_ends_are_said_in_json(folder: Path) -> None:
    document = compared(folder, "plain_fp32.onnx", "plain_fp32.onnx").to_json()
    assert document["sqnr_db"] is None
    assert document["unmatched"] == []
    layers = document["layers"]
    assert isinstance(layers, list)
    assert len(layers) == 7
