"""The layers of a TFLite file, and their numbers by LiteRT's own kernels.

Delegates keep what lies between operators to themselves, so none is used: an int8 number may then differ
by one from what XNNPACK computes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgekit.runtimes.base import Array, readable_file
from edgekit.runtimes.layers import FloatArray, Grid, LayerReader, Step, Window, layers_of
from edgekit.runtimes.tflite import load

__all__ = ["TfliteLayerReader", "open_layers"]

_MOVES = frozenset({"CAST", "EXPAND_DIMS", "PAD", "PADV2", "RESHAPE", "SQUEEZE", "TRANSPOSE"})
_CLAMPS = frozenset({"MAXIMUM", "MINIMUM", "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1"})
_QUANTIZE = frozenset({"DEQUANTIZE", "QUANTIZE"})
_OPS = {
    "ADD": "Add",
    "AVERAGE_POOL_2D": "AveragePool",
    "CONCATENATION": "Concat",
    "CONV_2D": "Conv",
    "DEPTHWISE_CONV_2D": "Conv",
    "FULLY_CONNECTED": "Gemm",
    "HARD_SWISH": "HardSwish",
    "LOGISTIC": "Sigmoid",
    "MAX_POOL_2D": "MaxPool",
    "MEAN": "AveragePool",
    "MUL": "Mul",
    "SOFTMAX": "Softmax",
    "SUB": "Sub",
    "TANH": "Tanh",
}
_SAME = 0  # schema.Padding.SAME


class TfliteLayerReader(LayerReader):
    """Keeps every tensor of a file after a run."""

    def __init__(self, path: Path) -> None:
        runner = load(path)
        self._interpreter = Interpreter(
            model_path=str(path),
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        self._interpreter.allocate_tensors()
        self._details = {int(one["index"]): one for one in self._interpreter.get_tensor_details()}
        graph = schema.ModelT.InitFromPackedBuf(bytearray(readable_file(path).read_bytes())).subgraphs[0]
        steps = list(_steps(_File(self._interpreter, self._details, graph)))
        layers = layers_of(steps, str(graph.inputs[0]))
        super().__init__(path, layers, runner.input, runner.output)

    def run(self, array: Array, tensors: Iterable[str]) -> dict[str, FloatArray]:
        self._interpreter.set_tensor(self._interpreter.get_input_details()[0]["index"], array)
        self._interpreter.invoke()
        return {name: self._real(int(name)) for name in tensors}

    def _real(self, index: int) -> FloatArray:
        values = _real(self._interpreter.get_tensor(index), self._details[index])
        return np.ascontiguousarray(values.transpose(0, 3, 1, 2)) if values.ndim == 4 else values


def open_layers(path: Path) -> TfliteLayerReader:
    """Read one file. Raises ModelFileError when LiteRT cannot."""
    return TfliteLayerReader(Path(path))


class _File:
    """Operators of the main subgraph, and the constants that they read, by tensor index."""

    def __init__(self, interpreter: Any, details: Mapping[int, Mapping[str, Any]], graph: Any) -> None:
        self.operators = [one for one in interpreter._get_ops_details() if one["op_name"] != "DELEGATE"]
        self.options = [operator.builtinOptions for operator in graph.operators]
        self.details = details
        made = {int(index) for operator in self.operators for index in operator["outputs"]}
        given = made | {int(index) for index in graph.inputs}
        self._widened = dict[int, int]()  # of a weight that is stored small and widened when run
        self._interpreter = interpreter
        for operator in self.operators:
            sources = [int(index) for index in operator["inputs"]]
            if operator["op_name"] in _QUANTIZE and sources[0] not in given:
                self._widened[int(operator["outputs"][0])] = sources[0]
        self._given = given - set(self._widened)

    def is_computed(self, index: int) -> bool:
        return index in self._given

    def stored(self, index: int) -> int:
        """The tensor that holds a constant."""
        return self._widened.get(index, index)

    def constant(self, index: int) -> FloatArray:
        """A constant's real numbers."""
        stored = self.stored(index)
        return _real(self._interpreter.get_tensor(stored), self.details[stored])


def _steps(file: _File) -> Iterator[Step]:
    for operator, options in zip(file.operators, file.options, strict=True):
        inputs = [int(index) for index in operator["inputs"] if index >= 0]
        computed = tuple(str(index) for index in inputs if file.is_computed(index))
        if computed:
            yield _step(file, operator["op_name"], inputs, computed, int(operator["outputs"][0]), options)


def _step(
    file: _File, code: str, inputs: list[int], computed: tuple[str, ...], output: int, options: Any
) -> Step:
    detail = file.details[output]
    step = Step(
        "layer",
        _OPS.get(code, code.title()),
        (str(detail["name"]),),
        computed,
        str(output),
        grid=_grid(detail),
    )
    if code in _QUANTIZE:
        return replace(step, role="quantize")
    if code in _MOVES:
        return replace(step, role="move")
    if code in _CLAMPS or (code == "ADD" and len(computed) == 1):
        return replace(step, role="clamp")
    if step.op in ("Conv", "Gemm") and len(computed) == 1:
        return _weighted_step(file, code, inputs, options, step)
    return step


def _weighted_step(file: _File, code: str, inputs: list[int], options: Any, step: Step) -> Step:
    weight, detail = file.constant(inputs[1]), file.details[file.stored(inputs[1])]
    if code == "CONV_2D":
        weight = weight.transpose(0, 3, 1, 2)
    if code == "DEPTHWISE_CONV_2D":
        weight = weight.transpose(3, 0, 1, 2)
    return replace(
        step,
        names=(str(detail["name"]), *step.names),
        weight=np.ascontiguousarray(weight),
        is_per_channel=detail["quantization_parameters"]["scales"].size > 1,
        window=None if code == "FULLY_CONNECTED" else _window(file, code, inputs, options),
    )


def _window(file: _File, code: str, inputs: list[int], options: Any) -> Window:
    channels = int(file.details[inputs[0]]["shape"][3])
    if code == "DEPTHWISE_CONV_2D":
        group = channels
    else:
        group = channels // int(file.details[file.stored(inputs[1])]["shape"][3])
    return Window(
        strides=(options.strideH, options.strideW),
        pads=None if options.padding == _SAME else (0, 0, 0, 0),
        dilations=(options.dilationHFactor, options.dilationWFactor),
        group=group,
    )


def _grid(detail: Mapping[str, Any]) -> Grid | None:
    dtype, parameters = np.dtype(detail["dtype"]), detail["quantization_parameters"]
    if dtype.kind not in "iu" or parameters["scales"].size != 1:
        return None
    limits = np.iinfo(dtype)
    scale, zero = float(parameters["scales"][0]), int(parameters["zero_points"][0])
    return Grid(scale, zero, int(limits.min), int(limits.max))


def _real(values: Array, detail: Mapping[str, Any]) -> FloatArray:
    """Real numbers of a tensor by its own scales, one or one for each channel."""
    parameters, reals = detail["quantization_parameters"], values.astype(np.float32)
    scales, zeros = parameters["scales"], parameters["zero_points"]
    if values.dtype.kind not in "iu" or not scales.size:
        return reals
    shape = [-1 if axis == parameters["quantized_dimension"] else 1 for axis in range(values.ndim)]
    if scales.size == 1:
        shape = [1] * values.ndim
    reals -= zeros.astype(np.float32).reshape(shape)
    reals *= scales.reshape(shape)
    return reals
