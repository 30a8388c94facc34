"""TFLite metadata: how to prepare the input and name the outputs, inside the file.

A flatbuffer named ``TFLITE_METADATA`` by TFLite Support's ``metadata_schema.fbs`` describes the tensors; the
labels are a zip archive appended to the file, stored without compression so that apps can map them.
Field numbers and enum values below are those of that public schema.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass

from edgekit.emit.tflite.schema import flatbuffers
from edgekit.options import Preprocessing, TensorSpec

__all__ = ["LABELS_FILE", "METADATA_NAME", "append_labels", "build_metadata"]

METADATA_NAME = "TFLITE_METADATA"
LABELS_FILE = "labels.txt"

_FILE_IDENTIFIER = b"M001"
_MIN_PARSER_VERSION = "1.0.0"  # every field used here was in the schema's first version
_TENSOR_AXIS_LABELS = 2
_RGB, _GRAYSCALE = 1, 2
_IMAGE_PROPERTIES = 2
_NORMALIZATION_OPTIONS = 1
_PIXEL_MAX = 255.0


class _Table:
    """One flatbuffer table, written field by field; strings and vectors are written before it starts."""

    def __init__(self, builder: flatbuffers.Builder) -> None:
        self._builder = builder
        self._fields: list[tuple[int, str, float]] = []

    def string(self, field: int, text: str) -> _Table:
        if text:
            self._fields.append((field, "offset", self._builder.CreateString(text)))
        return self

    def table(self, field: int, offset: int | None) -> _Table:
        if offset is not None:
            self._fields.append((field, "offset", offset))
        return self

    def tables(self, field: int, offsets: Sequence[int]) -> _Table:
        if offsets:
            self._builder.StartVector(4, len(offsets), 4)
            for offset in reversed(offsets):
                self._builder.PrependUOffsetTRelative(offset)
            self._fields.append((field, "offset", self._builder.EndVector()))
        return self

    def floats(self, field: int, values: Sequence[float]) -> _Table:
        self._builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            self._builder.PrependFloat32(value)
        self._fields.append((field, "offset", self._builder.EndVector()))
        return self

    def byte(self, field: int, value: int) -> _Table:
        self._fields.append((field, "byte", value))
        return self

    def uint(self, field: int, value: int) -> _Table:
        self._fields.append((field, "uint", value))
        return self

    def end(self) -> int:
        """Offset of the finished table."""
        builder = self._builder
        builder.StartObject(max((field for field, _, _ in self._fields), default=-1) + 1)
        for field, kind, value in self._fields:
            if kind == "offset":
                builder.PrependUOffsetTRelativeSlot(field, int(value), 0)
            elif kind == "byte":
                builder.PrependUint8Slot(field, int(value), 0)
            else:
                builder.PrependUint32Slot(field, int(value), 0)
        return int(builder.EndObject())


@dataclass(frozen=True)
class _Range:
    """Smallest and largest value of each channel that a tensor holds."""

    low: tuple[float, ...]
    high: tuple[float, ...]


def _input_range(preprocessing: Preprocessing) -> _Range:
    pairs = list(zip(preprocessing.mean, preprocessing.std, strict=True))
    return _Range(
        tuple((0.0 - mean) / std for mean, std in pairs), tuple((1.0 - mean) / std for mean, std in pairs)
    )


def _content(builder: flatbuffers.Builder, spec: TensorSpec, preprocessing: Preprocessing) -> int:
    _, height, width, _ = spec.shape
    size = _Table(builder).uint(0, width).uint(1, height).end()
    space = _RGB if preprocessing.color == "RGB" else _GRAYSCALE
    properties = _Table(builder).byte(0, space).table(1, size).end()
    return _Table(builder).byte(0, _IMAGE_PROPERTIES).table(1, properties).end()


def _normalization(builder: flatbuffers.Builder, preprocessing: Preprocessing) -> int:
    """Mean and standard deviation in pixel units, as readers apply them to bytes."""
    mean = [value * _PIXEL_MAX for value in preprocessing.mean]
    std = [value * _PIXEL_MAX for value in preprocessing.std]
    options = _Table(builder).floats(0, mean).floats(1, std).end()
    return _Table(builder).byte(0, _NORMALIZATION_OPTIONS).table(1, options).end()


def _stats(builder: flatbuffers.Builder, limits: _Range) -> int:
    return _Table(builder).floats(0, limits.high).floats(1, limits.low).end()


def _input(builder: flatbuffers.Builder, spec: TensorSpec, preprocessing: Preprocessing | None) -> int:
    table = _Table(builder).string(0, spec.name).string(1, "Image to classify.")
    if preprocessing is None or len(spec.shape) != 4:
        return table.end()
    content = _content(builder, spec, preprocessing)
    unit = _normalization(builder, preprocessing)
    stats = _stats(builder, _input_range(preprocessing))
    return table.table(3, content).tables(4, [unit]).table(5, stats).end()


def _labels(builder: flatbuffers.Builder) -> int:
    table = _Table(builder).string(0, LABELS_FILE).string(1, "Name of each class, one a line.")
    return table.byte(2, _TENSOR_AXIS_LABELS).end()


def _output(builder: flatbuffers.Builder, spec: TensorSpec, has_labels: bool) -> int:
    table = _Table(builder).string(0, spec.name).string(1, "Score of each class.")
    return table.tables(6, [_labels(builder)] if has_labels else []).end()


def build_metadata(
    name: str,
    description: str,
    input_spec: TensorSpec,
    output_spec: TensorSpec,
    preprocessing: Preprocessing | None,
    has_labels: bool,
) -> bytes:
    """The ``TFLITE_METADATA`` buffer of an image classifier."""
    builder = flatbuffers.Builder(1024)
    inputs = [_input(builder, input_spec, preprocessing)]
    outputs = [_output(builder, output_spec, has_labels)]
    subgraph = _Table(builder).tables(2, inputs).tables(3, outputs).end()
    model = _Table(builder).string(0, name).string(1, description).tables(3, [subgraph])
    builder.Finish(model.string(7, _MIN_PARSER_VERSION).end(), _FILE_IDENTIFIER)
    return bytes(builder.Output())


def append_labels(model: bytes, labels: Sequence[str]) -> bytes:
    """The file with its labels as an associated file; archive offsets count from the file's start."""
    archive = io.BytesIO()
    archive.write(model)
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_STORED) as zipped:
        # A fixed time makes equal models equal files.
        entry = zipfile.ZipInfo(LABELS_FILE, date_time=(1980, 1, 1, 0, 0, 0))
        zipped.writestr(entry, "".join(f"{label}\n" for label in labels))
    return archive.getvalue()
