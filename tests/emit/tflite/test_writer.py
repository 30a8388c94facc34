"""The bytes of a file, read back with the schema's own classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from edgekit.emit import EmitOptions, Emitted, emit
from edgekit.emit.tflite.writer import BUFFER_ALIGNMENT_BYTES


def network(new_graph: Any) -> Any:
    """Two equal convolutions around pooling, then a classifier."""
    builder = new_graph((1, 8, 17, 17))
    weight, bias = builder.normal(8, 8, 3, 3, scale=0.1), builder.normal(8)
    attributes = {
        "kernel_shape": [3, 3],
        "strides": [2, 2],
        "pads": [1, 1, 1, 1],
        "dilations": [1, 1],
        "group": 1,
    }
    x = builder.image
    for name in ("stem", "body"):
        x = builder.op("Conv", x, weight.copy(), bias.copy(), name=name, **attributes)
        x = builder.op("Relu", x, name=f"{name}.act")
    x = builder.op("Flatten", builder.op("GlobalAveragePool", x), axis=1)
    return builder.model(builder.gemm(x, 5))


@pytest.fixture
def emitted(new_graph: Any, tmp_path: Path) -> Emitted:
    options = EmitOptions(name="net", description="A small network")
    return emit(network(new_graph), tmp_path / "net.tflite", "tflite", options)


@pytest.fixture
def content(emitted: Emitted) -> Any:
    return schema.ModelT.InitFromPackedBuf(emitted.path.read_bytes())


def test_identity(emitted: Emitted, content: Any) -> None:
    data = emitted.path.read_bytes()
    assert data[4:8] == b"TFL3"
    assert len(data) == emitted.size_bytes
    assert content.version == 3
    assert content.description == b"A small network"


def test_equal_weights_are_stored_once(content: Any) -> None:
    weights = {tensor.name: tensor.buffer for tensor in content.subgraphs[0].tensors if tensor.buffer}
    assert sum(name.startswith((b"stem", b"body")) for name in weights) == 2
    stored = [bytes(buffer.data) for buffer in content.buffers if buffer.data is not None]
    assert len(stored) == len(set(stored))
    assert content.buffers[0].data is None


def test_weights_are_aligned_in_the_file(emitted: Emitted) -> None:
    data = emitted.path.read_bytes()
    model = schema.Model.GetRootAs(data, 0)
    sizes = []
    for index in range(model.BuffersLength()):
        buffer = model.Buffers(index)
        if buffer.DataLength():
            start = buffer._tab.Vector(buffer._tab.Offset(4))
            assert start % BUFFER_ALIGNMENT_BYTES == 0
            sizes.append(buffer.DataLength())
    assert max(sizes) == 8 * 8 * 9 * 4


def test_the_signature_names_input_and_output(content: Any) -> None:
    (signature,) = content.signatureDefs
    assert signature.signatureKey == b"serving_default"
    assert [entry.name for entry in signature.inputs] == [b"image"]
    assert [entry.name for entry in signature.outputs] == [b"logits"]


def test_tensors_keep_the_layers_names(content: Any) -> None:
    names = [tensor.name for tensor in content.subgraphs[0].tensors]
    assert {b"image", b"stem.act", b"body.act", b"logits"} <= set(names)
    assert len(names) == len(set(names))


def test_old_readers_find_the_operator_codes(content: Any) -> None:
    assert [code.deprecatedBuiltinCode for code in content.operatorCodes] == [
        code.builtinCode for code in content.operatorCodes
    ]


def test_the_runtime_version_is_in_the_file(emitted: Emitted, content: Any) -> None:
    (entry,) = content.metadata
    assert entry.name == b"min_runtime_version"
    text = bytes(content.buffers[entry.buffer].data).rstrip(b"\0").decode()
    assert text == emitted.details["min_runtime_version"] == "1.6.0"


def test_equal_models_are_equal_files(new_graph: Any, emitted: Emitted, tmp_path: Path) -> None:
    options = EmitOptions(name="net", description="A small network")
    again = emit(network(new_graph), tmp_path / "again.tflite", "tflite", options)
    assert again.sha256 == emitted.sha256


def test_zero_points_of_many_channels_cost_nothing(
    new_graph: Any, quantize_small: Any, tmp_path: Path
) -> None:
    builder = new_graph((1, 1, 4, 4))
    model = builder.model(builder.conv(builder.image, 512, 1))
    batch = builder.normal(2, 1, 4, 4)
    result = emit(quantize_small(model, batch), tmp_path / "wide.tflite", "tflite", EmitOptions("int8"))
    # weights 1 byte, bias 4, its scales and the weights' 4 each, one shared row of 8-byte zero points
    assert result.size_bytes < 512 * (1 + 4 + 4 + 4 + 8) + 2048
    content = schema.ModelT.InitFromPackedBuf(result.path.read_bytes())
    for tensor in content.subgraphs[0].tensors:
        assert len(tensor.quantization.scale) == len(tensor.quantization.zeroPoint)
        assert not np.any(tensor.quantization.zeroPoint) or tensor.buffer == 0
