"""Metadata read back by position, as the public schema numbers its fields."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from flatbuffers.table import Table  # type: ignore[import-untyped]

from edgekit.emit import EmitOptions, emit
from edgekit.errors import UnsupportedError
from edgekit.options import Preprocessing
from edgekit.runtimes.tflite import load

LABELS = ("tench", "goldfish", "great white shark", "räv")
PREPROCESSING = Preprocessing(mean=(0.5, 0.25, 0.125), std=(0.5, 1.0, 2.0), crop=9)


@pytest.fixture
def path(new_graph: Any, tmp_path: Path) -> Path:
    builder = new_graph((1, 3, 9, 9))
    x = builder.op("Flatten", builder.op("GlobalAveragePool", builder.image), axis=1)
    options = EmitOptions(name="net", description="four fish", preprocessing=PREPROCESSING, labels=LABELS)
    return emit(builder.model(builder.gemm(x, 4)), tmp_path / "net.tflite", "tflite", options).path


@pytest.fixture
def root(path: Path) -> Table:
    content = schema.ModelT.InitFromPackedBuf(path.read_bytes())
    (entry,) = (entry for entry in content.metadata if entry.name == b"TFLITE_METADATA")
    data = bytes(content.buffers[entry.buffer].data)
    assert data[4:8] == b"M001"
    return Table(data, int.from_bytes(data[:4], "little"))


def position(table: Table, field: int) -> int:
    """Where field number ``field`` of a table is."""
    offset = table.Offset(4 + 2 * field)
    assert offset, f"field {field} is absent"
    return int(offset + table.Pos)


def child(table: Table, field: int) -> Table:
    return Table(table.Bytes, table.Indirect(position(table, field)))


def children(table: Table, field: int) -> list[Table]:
    offset = table.Offset(4 + 2 * field)
    assert offset
    start = table.Vector(offset)
    return [Table(table.Bytes, table.Indirect(start + 4 * i)) for i in range(table.VectorLen(offset))]


def text(table: Table, field: int) -> str:
    return bytes(table.String(position(table, field))).decode()


def floats(table: Table, field: int) -> list[float]:
    offset = table.Offset(4 + 2 * field)
    start, length = table.Vector(offset), table.VectorLen(offset)
    return [float(value) for value in np.frombuffer(table.Bytes, np.float32, length, start)]


def byte(table: Table, field: int) -> int:
    return int(table.Bytes[position(table, field)])


def test_the_model_is_described(root: Table) -> None:
    assert (text(root, 0), text(root, 1)) == ("net", "four fish")
    assert text(root, 7) == "1.0.0"


def test_the_input_says_how_pixels_are_normalized(root: Table) -> None:
    (subgraph,) = children(root, 3)
    (image,) = children(subgraph, 2)
    assert text(image, 0) == "image"
    (unit,) = children(image, 4)
    assert byte(unit, 0) == 1
    options = child(unit, 1)
    assert floats(options, 0) == pytest.approx([127.5, 63.75, 31.875])
    assert floats(options, 1) == pytest.approx([127.5, 255.0, 510.0])
    stats = child(image, 5)
    assert floats(stats, 0) == pytest.approx([1.0, 0.75, 0.4375])
    assert floats(stats, 1) == pytest.approx([-1.0, -0.25, -0.0625])


def test_the_input_is_an_rgb_image_of_its_size(root: Table) -> None:
    content = child(children(children(root, 3)[0], 2)[0], 3)
    assert byte(content, 0) == 2
    properties = child(content, 1)
    assert byte(properties, 0) == 1
    size = child(properties, 1)
    sides = [int.from_bytes(size.Bytes[position(size, i) : position(size, i) + 4], "little") for i in (0, 1)]
    assert sides == [9, 9]


def test_the_output_names_its_labels(root: Table, path: Path) -> None:
    (scores,) = children(children(root, 3)[0], 3)
    (file,) = children(scores, 6)
    assert byte(file, 2) == 2
    with zipfile.ZipFile(path) as archive:
        assert archive.getinfo(text(file, 0)).compress_type == zipfile.ZIP_STORED
        assert tuple(archive.read(text(file, 0)).decode().splitlines()) == LABELS


def test_the_file_still_runs(path: Path) -> None:
    assert load(path).run(np.zeros((1, 9, 9, 3), np.float32)).shape == (1, 4)


def test_labels_must_fit_the_output(new_graph: Any, tmp_path: Path) -> None:
    builder = new_graph((1, 3, 9, 9))
    x = builder.op("Flatten", builder.op("GlobalAveragePool", builder.image), axis=1)
    with pytest.raises(UnsupportedError, match="4 labels for 5 outputs"):
        emit(builder.model(builder.gemm(x, 5)), tmp_path / "n.tflite", "tflite", EmitOptions(labels=LABELS))
