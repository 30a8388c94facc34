"""What a ``.tflite`` file contains, read without running it: tensors, operators, versions.

Only the first subgraph is read: a network without control flow has no other.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import MissingExtraError, ModelFileError
from edgekit.options import Precision
from edgekit.runtimes.base import readable_file

__all__ = ["FileOperator", "FileTensor", "TfliteFile", "read"]

_IDENTIFIER = b"TFL3"  # bytes 4 to 8 of every file of this schema
_RUNTIME_VERSION = "min_runtime_version"  # the metadata entry that converters write
_WEIGHTED = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}
_HALF_BYTE = {"int4", "uint4"}


@dataclass(frozen=True)
class FileTensor:
    """One tensor. ``dtype`` is numpy's name where numpy has the type, else the schema's in lower case.

    ``num_scales`` counts quantization scales: 0 for a float tensor, 1 per tensor, more per channel.
    ``size_bytes`` is 0 for what has no fixed size.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    size_bytes: int
    is_constant: bool
    num_scales: int


@dataclass(frozen=True)
class FileOperator:
    """One operator in execution order; inputs and outputs are indices of tensors, -1 for one left out."""

    code: str
    version: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class TfliteFile:
    """A file's first subgraph. ``min_runtime_version`` is what the file itself says, or None."""

    path: Path
    size_bytes: int
    tensors: tuple[FileTensor, ...]
    operators: tuple[FileOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    min_runtime_version: str | None

    @cached_property
    def versions(self) -> dict[str, int]:
        """Each operator's code and the highest version of it."""
        highest: dict[str, int] = {}
        for operator in self.operators:
            highest[operator.code] = max(operator.version, highest.get(operator.code, 0))
        return dict(sorted(highest.items()))

    @cached_property
    def precision(self) -> Precision:
        """What the weights are stored as, judged by the operators that have some."""
        kinds = {self._kind(operator) for operator in self.operators if operator.code in _WEIGHTED}
        order: tuple[Precision, ...] = ("int8", "int16", "dynamic", "weight-only", "fp16")
        return next((kind for kind in order if kind in kinds), "fp32")

    def _kind(self, operator: FileOperator) -> Precision:
        source, weights = (self.tensors[index].dtype for index in operator.inputs[:2])
        if weights in {"int8", "int4"}:
            kinds: dict[str, Precision] = {"float32": "dynamic", "int16": "int16"}
            return kinds.get(source, "int8")
        widened: dict[str, Precision] = {"float16": "fp16", "int8": "weight-only"}
        return widened.get(self._widened_from(operator.inputs[1]), "fp32")

    def _widened_from(self, tensor: int) -> str:
        """The dtype of the constants that a float32 tensor is made of at run time; empty for none."""
        makers = (one for one in self.operators if tensor in one.outputs and one.code == "DEQUANTIZE")
        return next((self.tensors[one.inputs[0]].dtype for one in makers), "")


def read(path: Path | str) -> TfliteFile:
    """Read the structure of one file; the weights stay where they are.

    Raises ModelFileError for a file that is missing, damaged or of another format.
    """
    path = readable_file(Path(path))
    data = path.read_bytes()
    if data[4:8] != _IDENTIFIER:
        raise ModelFileError(f"{path} is not a TFLite file", hint="check the path, or export the model again")
    schema = _schema()
    try:
        return _parse(path, data, schema)
    except (struct.error, IndexError, TypeError, ValueError, AttributeError, UnicodeDecodeError) as exc:
        raise ModelFileError(f"{path} is damaged: {exc}", hint="export the model again") from exc


def _schema() -> Any:
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as exc:
        raise MissingExtraError("ai-edge-litert", "", "reading TFLite files") from exc
    return schema_py_generated


def _parse(path: Path, data: bytes, schema: Any) -> TfliteFile:
    model = schema.Model.GetRootAs(data)
    graph = model.Subgraphs(0)
    codes = _names(schema.BuiltinOperator)
    dtypes = _names(schema.TensorType)
    kinds = [_operator_code(model.OperatorCodes(i), codes) for i in range(model.OperatorCodesLength())]
    return TfliteFile(
        path=path,
        size_bytes=len(data),
        tensors=tuple(_tensor(graph.Tensors(i), model, dtypes) for i in range(graph.TensorsLength())),
        operators=tuple(_operator(graph.Operators(i), kinds) for i in range(graph.OperatorsLength())),
        inputs=tuple(graph.Inputs(i) for i in range(graph.InputsLength())),
        outputs=tuple(graph.Outputs(i) for i in range(graph.OutputsLength())),
        min_runtime_version=next(_runtime_versions(model), None),
    )


def _names(enumeration: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


def _operator_code(entry: Any, codes: dict[int, str]) -> tuple[str, int]:
    """Code and version; a custom operator is known by its own name."""
    custom = entry.CustomCode()
    if custom:
        return custom.decode(), entry.Version()
    # Files for runtimes before 2.4 have the code in the older field only.
    return codes[max(entry.BuiltinCode(), entry.DeprecatedBuiltinCode())], entry.Version()


def _operator(entry: Any, kinds: list[tuple[str, int]]) -> FileOperator:
    code, version = kinds[entry.OpcodeIndex()]
    return FileOperator(
        code,
        version,
        tuple(entry.Inputs(i) for i in range(entry.InputsLength())),
        tuple(entry.Outputs(i) for i in range(entry.OutputsLength())),
    )


def _tensor(entry: Any, model: Any, dtypes: dict[int, str]) -> FileTensor:
    shape = tuple(entry.Shape(i) for i in range(entry.ShapeLength()))
    dtype = dtypes[entry.Type()].lower()
    quantization = entry.Quantization()
    return FileTensor(
        name=(entry.Name() or b"").decode(),
        shape=shape,
        dtype=dtype,
        size_bytes=_size_bytes(shape, dtype),
        is_constant=_has_data(model.Buffers(entry.Buffer())),
        num_scales=quantization.ScaleLength() if quantization is not None else 0,
    )


def _has_data(buffer: Any) -> bool:
    # Files above 2 GB keep their buffers outside, at an offset above 1.
    return bool(buffer.DataLength() > 0 or buffer.Offset() > 1)


def _size_bytes(shape: tuple[int, ...], dtype: str) -> int:
    elements = math.prod(shape)
    if dtype in _HALF_BYTE:
        return -(-elements // 2)
    try:
        return elements * np.dtype(dtype).itemsize
    except TypeError:  # strings, resources and variants
        return 0


def _runtime_versions(model: Any) -> Iterator[str]:
    for i in range(model.MetadataLength()):
        entry = model.Metadata(i)
        if entry.Name() and entry.Name().decode() == _RUNTIME_VERSION:
            text = model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
            yield text.split(b"\0")[0].decode()
