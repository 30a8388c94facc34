"""The layers of an ONNX file, quantized by Q/DQ pairs or not at all, and their numbers by onnxruntime."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # protobuf ships no types
from onnx import numpy_helper

from edgekit.errors import ModelFileError
from edgekit.runtimes.base import Array
from edgekit.runtimes.layers import FloatArray, Grid, LayerReader, Step, Window, layers_of
from edgekit.runtimes.onnx import OnnxRunner, open_session

__all__ = ["OnnxLayerReader", "open_layers"]

_MOVES = frozenset(
    {"Cast", "Dropout", "Flatten", "Identity", "Pad", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
)
_CLAMPS = frozenset({"Clip", "Relu"})
_WEIGHTED = frozenset({"Conv", "Gemm", "MatMul"})
_OPS = {"MatMul": "Gemm", "ReduceMean": "AveragePool", "GlobalAveragePool": "AveragePool"}
_Constants = dict[str, Array]


class OnnxLayerReader(LayerReader):
    """Reads every tensor of a file by making it an output."""

    def __init__(self, path: Path, model: onnx.ModelProto | None = None) -> None:
        self._model = _load(path) if model is None else model
        self._session: Any = None
        self._asked: tuple[str, ...] = ()
        constants = _constants(self._model.graph)
        steps = list(_steps(self._model.graph, constants))
        layers = layers_of(steps, self._model.graph.input[0].name)
        self._grids = {layer.tensor: layer.grid for layer in layers}
        with tempfile.TemporaryDirectory() as folder:
            plain = OnnxRunner(_saved(self._model, folder))
        super().__init__(path, layers, plain.input, plain.output)

    def run(self, array: Array, tensors: Iterable[str]) -> dict[str, FloatArray]:
        wanted = tuple(dict.fromkeys(tensors))
        if self._session is None or wanted != self._asked:
            self._session, self._asked = self._open(wanted), wanted
        computed = [name for name in wanted if name != self.input.name]
        found = dict(zip(computed, self._session.run(computed, {self.input.name: array}), strict=True))
        if self.input.name in wanted:
            found[self.input.name] = array
        return {name: self._real(name, found[name]) for name in wanted}

    def _open(self, wanted: Iterable[str]) -> Any:
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        present = {value.name for value in model.graph.output} | {self.input.name}
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in wanted if name not in present)
        with tempfile.TemporaryDirectory() as folder:
            return open_session(_saved(model, folder))

    def _real(self, name: str, values: Array) -> FloatArray:
        grid = self._grids.get(name)
        reals: FloatArray = values.astype(np.float32)
        if grid is None or values.dtype.kind == "f":
            return reals
        reals -= np.float32(grid.zero_point)
        reals *= np.float32(grid.scale)
        return reals


def open_layers(path: Path) -> OnnxLayerReader:
    """Read one file. Raises ModelFileError when it is damaged."""
    return OnnxLayerReader(Path(path))


def _load(path: Path) -> onnx.ModelProto:
    try:
        return onnx.load(str(path))
    except (OSError, DecodeError, onnx.checker.ValidationError) as exc:
        raise ModelFileError(f"{path} cannot be read as ONNX: {exc}", hint="export it again") from exc


def _saved(model: onnx.ModelProto, folder: str) -> Path:
    path = Path(folder, "model.onnx")
    path.write_bytes(model.SerializeToString())
    return path


def _constants(graph: onnx.GraphProto) -> _Constants:
    """What the file stores, and what follows from it alone by dequantizing, casting or renaming."""
    constants: _Constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        elif node.op_type == "DequantizeLinear" and node.input[0] in constants:
            constants[node.output[0]] = _dequantized(node, constants)
        elif node.op_type in ("Cast", "Identity") and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
    return constants


def _dequantized(node: onnx.NodeProto, constants: _Constants) -> FloatArray:
    integers, scale = constants[node.input[0]].astype(np.float32), constants[node.input[1]].astype(np.float32)
    zero = constants[node.input[2]].astype(np.float32) if len(node.input) > 2 else np.zeros(1, np.float32)
    axis = _attributes(node).get("axis", 1)
    reals: FloatArray = (integers - _along(zero, axis, integers.ndim)) * _along(scale, axis, integers.ndim)
    return reals


def _along(parameters: FloatArray, axis: int, ndim: int) -> FloatArray:
    if parameters.size == 1:
        return parameters.reshape(())
    return parameters.reshape([-1 if i == axis % ndim else 1 for i in range(ndim)])


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}


def _steps(graph: onnx.GraphProto, constants: _Constants) -> Iterator[Step]:
    scales = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    for node in graph.node:
        if node.op_type == "Constant" or node.output[0] in constants:
            continue
        computed = tuple(name for name in node.input if name and name not in constants)
        fixed = [constants[name] for name in node.input if name in constants]
        yield _step(node, computed, fixed, constants, scales)


def _step(
    node: onnx.NodeProto,
    computed: tuple[str, ...],
    fixed: list[Array],
    constants: _Constants,
    scales: dict[str, onnx.NodeProto],
) -> Step:
    output, op, names = node.output[0], node.op_type, (node.name, node.output[0])
    if op == "DequantizeLinear":
        grid = _grid(node, constants)
        return Step("quantize", op, names, computed, output, tensor=computed[0], grid=grid)
    if op == "QuantizeLinear" or (op == "Clip" and _is_integer(fixed)):
        return Step("quantize", op, names, computed, output)
    if op in _MOVES:
        return Step("move", op, names, computed, output)
    if op in _CLAMPS or (op == "Add" and len(computed) == 1):
        return Step("clamp", op, names, computed, output)
    if op in _WEIGHTED and len(computed) == 1 and len(node.input) > 1:
        return _weighted_step(node, computed, constants, scales)
    return Step("layer", _OPS.get(op, op), names, computed, output)


def _is_integer(fixed: list[Array]) -> bool:
    return bool(fixed) and fixed[0].dtype.kind in "iu"


def _weighted_step(
    node: onnx.NodeProto, computed: tuple[str, ...], constants: _Constants, scales: dict[str, onnx.NodeProto]
) -> Step:
    attributes, name = _attributes(node), node.input[1]
    weight = constants[name].astype(np.float32)
    if node.op_type == "MatMul" or (node.op_type == "Gemm" and not attributes.get("transB", 0)):
        weight = weight.T
    dequantize = scales.get(name)
    return Step(
        "layer",
        _OPS.get(node.op_type, node.op_type),
        (node.name, node.output[0], name if dequantize is None else dequantize.input[0]),
        computed,
        node.output[0],
        weight=weight,
        is_per_channel=dequantize is not None and constants[dequantize.input[1]].size > 1,
        window=_window(attributes) if node.op_type == "Conv" else None,
    )


def _window(attributes: dict[str, Any]) -> Window:
    pads = tuple(attributes.get("pads", (0, 0, 0, 0)))
    return Window(
        strides=tuple(attributes.get("strides", (1, 1))),
        pads=None if attributes.get("auto_pad", b"NOTSET") == b"SAME_UPPER" else pads,
        dilations=tuple(attributes.get("dilations", (1, 1))),
        group=attributes.get("group", 1),
    )


def _grid(node: onnx.NodeProto, constants: _Constants) -> Grid:
    zero = constants[node.input[2]] if len(node.input) > 2 else np.zeros(1, np.uint8)
    limits = np.iinfo(zero.dtype.name)
    scale = float(constants[node.input[1]].reshape(-1)[0])
    return Grid(scale, int(zero.reshape(-1)[0]), int(limits.min), int(limits.max))
