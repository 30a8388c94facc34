"""From a :class:`~edgekit.emit.tflite.program.Program` to the bytes of a ``.tflite`` file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.emit.tflite.program import Operator, Option, Program, Quantization, Tensor
from edgekit.emit.tflite.schema import flatbuffers, schema
from edgekit.emit.tflite.versions import operator_version
from edgekit.errors import UnsupportedError

__all__ = ["BUFFER_ALIGNMENT_BYTES", "FILE_IDENTIFIER", "SIGNATURE", "pack"]

FILE_IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
BUFFER_ALIGNMENT_BYTES = 16
SIGNATURE = "serving_default"

# Operator code → its option table in the schema; codes without options are absent.
_OPTIONS: dict[str, str] = {
    "ADD": "AddOptions",
    "ARG_MAX": "ArgMaxOptions",
    "ARG_MIN": "ArgMinOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "CONCATENATION": "ConcatenationOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "DEPTH_TO_SPACE": "DepthToSpaceOptions",
    "DIV": "DivOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "GATHER": "GatherOptions",
    "GELU": "GeluOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "LOCAL_RESPONSE_NORMALIZATION": "LocalResponseNormalizationOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "MEAN": "ReducerOptions",
    "MIRROR_PAD": "MirrorPadOptions",
    "MUL": "MulOptions",
    "REDUCE_MAX": "ReducerOptions",
    "REDUCE_MIN": "ReducerOptions",
    "REDUCE_PROD": "ReducerOptions",
    "RESHAPE": "ReshapeOptions",
    "RESIZE_BILINEAR": "ResizeBilinearOptions",
    "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions",
    "SOFTMAX": "SoftmaxOptions",
    "SPACE_TO_DEPTH": "SpaceToDepthOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "SUB": "SubOptions",
    "SUM": "ReducerOptions",
    "TRANSPOSE_CONV": "TransposeConvOptions",
}

_TYPES: dict[str, int] = {
    "bool": schema.TensorType.BOOL,
    "float32": schema.TensorType.FLOAT32,
    "float16": schema.TensorType.FLOAT16,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "int8": schema.TensorType.INT8,
    "uint8": schema.TensorType.UINT8,
}

# Codes above this were added after the one-byte field of old runtimes was full.
_LAST_ONE_BYTE_CODE = 127


class _Buffer:
    """Raw bytes, aligned in the file so that runtimes can map them and kernels can load them."""

    def __init__(self, data: bytes | None) -> None:
        self.data = data

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802  # the schema's protocol
        if self.data is not None:
            builder.Prep(BUFFER_ALIGNMENT_BYTES, len(self.data))
            vector = builder.CreateByteVector(self.data)
        schema.BufferStart(builder)
        if self.data is not None:
            schema.BufferAddData(builder, vector)
        return int(schema.BufferEnd(builder))


class _SharedVectors:
    """Equal number vectors of one file, stored once: per-channel zero points are long runs of zeros."""

    def __init__(self) -> None:
        self._offsets: dict[tuple[str, bytes], int] = {}

    def offset(self, builder: flatbuffers.Builder, vector: npt.NDArray[np.generic]) -> int:
        key = (vector.dtype.str, vector.tobytes())
        if key not in self._offsets:
            self._offsets[key] = builder.CreateNumpyVector(vector)
        return self._offsets[key]


class _QuantizationParameters:
    """A tensor's scales and zero points, each vector shared within the file."""

    def __init__(self, quantization: Quantization, shared: _SharedVectors) -> None:
        self.quantization = quantization
        self.shared = shared

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802  # the schema's protocol
        parameters = self.quantization
        zero_points = np.full(parameters.scale.shape, parameters.zero_point, np.int64)
        scale = self.shared.offset(builder, parameters.scale)
        zero_point = self.shared.offset(builder, zero_points)
        schema.QuantizationParametersStart(builder)
        schema.QuantizationParametersAddScale(builder, scale)
        schema.QuantizationParametersAddZeroPoint(builder, zero_point)
        schema.QuantizationParametersAddQuantizedDimension(builder, parameters.axis)
        return int(schema.QuantizationParametersEnd(builder))


class _Buffers:
    """The file's buffer list; entry 0 is empty by convention, equal contents share an entry."""

    def __init__(self) -> None:
        self.entries = [_Buffer(None)]
        self._index: dict[bytes, int] = {}

    def index(self, data: bytes) -> int:
        if data not in self._index:
            self._index[data] = len(self.entries)
            self.entries.append(_Buffer(data))
        return self._index[data]


def _tensor(tensor: Tensor, buffers: _Buffers, shared: _SharedVectors) -> Any:
    packed = schema.TensorT()
    packed.name = tensor.name
    packed.shape = np.asarray(tensor.shape, np.int32)
    if tensor.dtype.name not in _TYPES:
        raise UnsupportedError(f"tensor {tensor.name!r} is {tensor.dtype.name}, which has no place in TFLite")
    packed.type = _TYPES[tensor.dtype.name]
    packed.buffer = 0 if tensor.data is None else buffers.index(tensor.data.tobytes())
    if tensor.quantization is not None:
        packed.quantization = _QuantizationParameters(tensor.quantization, shared)
    return packed


def _operator_code(code: str, version: int) -> Any:
    packed = schema.OperatorCodeT()
    packed.builtinCode = getattr(schema.BuiltinOperator, code)
    packed.deprecatedBuiltinCode = min(packed.builtinCode, _LAST_ONE_BYTE_CODE)
    packed.version = version
    return packed


def _options(kind: str, fields: Mapping[str, Option]) -> Any:
    table = getattr(schema, f"{kind}T")()
    for name, value in fields.items():
        assert hasattr(table, name), f"{kind} has no field {name}"
        setattr(table, name, list(value) if isinstance(value, tuple) else value)
    return table


def _operator(operator: Operator, code_index: int) -> Any:
    packed = schema.OperatorT()
    packed.opcodeIndex = code_index
    packed.inputs = np.asarray(operator.inputs, np.int32)
    packed.outputs = np.asarray(operator.outputs, np.int32)
    kind = _OPTIONS.get(operator.code)
    if kind is not None:
        packed.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        packed.builtinOptions = _options(kind, operator.options)
    return packed


def _signature(program: Program) -> Any:
    def entries(indices: list[int]) -> list[Any]:
        maps = []
        for index in indices:
            entry = schema.TensorMapT()
            entry.name, entry.tensorIndex = program.tensors[index].name, index
            maps.append(entry)
        return maps

    signature = schema.SignatureDefT()
    signature.signatureKey = SIGNATURE
    signature.inputs, signature.outputs = entries(program.inputs), entries(program.outputs)
    return signature


def _metadata(entries: Mapping[str, bytes], buffers: _Buffers) -> list[Any]:
    packed = []
    for name, data in entries.items():
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, buffers.index(data)
        packed.append(entry)
    return packed


def pack(program: Program, name: str, description: str, metadata: Mapping[str, bytes]) -> bytes:
    """Bytes of the file. ``metadata`` are named buffers beside the graph, such as ``min_runtime_version``."""
    buffers, shared = _Buffers(), _SharedVectors()
    versioned = [
        (operator.code, operator_version(operator, program.tensors)) for operator in program.operators
    ]
    codes = {entry: index for index, entry in enumerate(dict.fromkeys(versioned))}

    subgraph = schema.SubGraphT()
    subgraph.name = name
    subgraph.tensors = [_tensor(tensor, buffers, shared) for tensor in program.tensors]
    subgraph.inputs = np.asarray(program.inputs, np.int32)
    subgraph.outputs = np.asarray(program.outputs, np.int32)
    subgraph.operators = [
        _operator(operator, codes[entry])
        for operator, entry in zip(program.operators, versioned, strict=True)
    ]

    model = schema.ModelT()
    model.version = SCHEMA_VERSION
    model.description = description
    model.operatorCodes = [_operator_code(*entry) for entry in codes]
    model.subgraphs = [subgraph]
    model.signatureDefs = [_signature(program)]
    model.metadata = _metadata(metadata, buffers)
    model.buffers = buffers.entries
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
    return bytes(builder.Output())
