"""The layers of an OpenVINO IR file, quantized by ``FakeQuantize`` or not, and their numbers on the CPU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.runtimes.base import Array
from edgekit.runtimes.layers import FloatArray, Grid, LayerReader, Step, Window, layers_of
from edgekit.runtimes.openvino import CLAMPS, import_openvino, load

__all__ = ["OpenvinoLayerReader", "open_layers"]

_ENDS = frozenset({"Constant", "Parameter", "Result"})
_MOVES = frozenset({"Convert", "Pad", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
_WEIGHTED = frozenset({"Convolution", "GroupConvolution", "MatMul"})
_OPS = {
    "AvgPool": "AveragePool",
    "Convolution": "Conv",
    "GroupConvolution": "Conv",
    "HSigmoid": "HardSigmoid",
    "HSwish": "HardSwish",
    "MatMul": "Gemm",
    "Multiply": "Mul",
    "ReduceMean": "AveragePool",
    "Subtract": "Sub",
}


class OpenvinoLayerReader(LayerReader):
    """Reads every tensor of a file by making it a result."""

    def __init__(self, path: Path) -> None:
        runner = load(path)
        self._model = import_openvino().Core().read_model(str(path))
        self._nodes = {node.get_name(): node for node in self._model.get_ordered_ops()}
        self._asked: tuple[str, ...] = ()
        self._compiled: Any = None
        image = self._model.get_parameters()[0].get_name()
        layers = layers_of(list(_steps(self._model)), image)
        super().__init__(path, layers, runner.input, runner.output)

    def run(self, array: Array, tensors: Iterable[str]) -> dict[str, FloatArray]:
        wanted = tuple(dict.fromkeys(tensors))
        if self._compiled is None or wanted != self._asked:
            openvino = import_openvino()
            outputs = [self._nodes[name].output(0) for name in wanted]
            model = openvino.Model(outputs, self._model.get_parameters(), "layers")
            self._compiled, self._asked = _compiled(model), wanted
        found = self._compiled(array)
        return {name: np.array(found[i], np.float32) for i, name in enumerate(wanted)}


def open_layers(path: Path) -> OpenvinoLayerReader:
    """Read one file. Raises ModelFileError when it or its ``.bin`` is missing or damaged."""
    return OpenvinoLayerReader(Path(path))


def _compiled(model: Any) -> Any:
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return import_openvino().Core().compile_model(model, "CPU", settings)


def _steps(model: Any) -> Iterator[Step]:
    computed = _computed(model)
    weights = _weights(model, computed)
    for node in model.get_ordered_ops():
        if node.get_name() in computed and node.get_type_name() not in _ENDS:
            sources = (value.get_source_output().get_node().get_name() for value in node.inputs())
            inputs = tuple(name for name in sources if name in computed)
            yield _step(node, inputs, weights)


def _computed(model: Any) -> set[str]:
    """Names of the nodes that depend on the image."""
    found: set[str] = set()
    for node in model.get_ordered_ops():
        sources = {value.get_source_output().get_node().get_name() for value in node.inputs()}
        if node.get_type_name() == "Parameter" or sources & found:
            found.add(node.get_name())
    return found


def _weights(model: Any, computed: set[str]) -> dict[str, FloatArray]:
    """Real numbers of the second input of each weighted node, by the node's name, where it is constant."""
    openvino = import_openvino()
    found = {
        node.get_name(): node.input_value(1)
        for node in model.get_ordered_ops()
        if node.get_type_name() in _WEIGHTED and node.input_value(1).get_node().get_name() not in computed
    }
    if not found:
        return {}
    constants = openvino.Model(list(found.values()), [], "weights")
    results = _compiled(constants)([])
    return {name: np.array(results[i], np.float32) for i, name in enumerate(found)}


def _step(node: Any, inputs: tuple[str, ...], weights: dict[str, FloatArray]) -> Step:
    op, output = node.get_type_name(), node.get_name()
    names = (node.get_friendly_name(), *node.output(0).get_names())
    if op == "FakeQuantize":
        return Step("quantize", op, names, inputs, output, grid=_grid(node))
    if op in _MOVES:
        return Step("move", op, names, inputs, output)
    if op in CLAMPS or (op in ("Add", "Multiply", "Subtract") and len(inputs) == 1):
        return Step("clamp", op, names, inputs, output)
    if output in weights:
        return _weighted_step(node, inputs, weights[output], names)
    return Step("layer", _OPS.get(op, op), names, inputs, output)


def _weighted_step(node: Any, inputs: tuple[str, ...], weight: FloatArray, names: tuple[str, ...]) -> Step:
    op, attributes = node.get_type_name(), node.get_attributes()
    group, window = 1, None
    if op == "GroupConvolution":
        group = weight.shape[0]
        weight = weight.reshape(-1, *weight.shape[2:])
    if op == "MatMul" and not attributes["transpose_b"]:
        weight = weight.T
    if op != "MatMul":
        window = _window(node, attributes, group)
    return Step(
        "layer",
        _OPS[op],
        names,
        inputs,
        node.get_name(),
        weight=weight,
        is_per_channel=True,
        window=window,
    )


def _window(node: Any, attributes: dict[str, Any], group: int) -> Window:
    top, left = attributes["pads_begin"]
    bottom, right = attributes["pads_end"]
    rows, columns = attributes["strides"]
    dilated_rows, dilated_columns = attributes["dilations"]
    return Window((rows, columns), (top, left, bottom, right), (dilated_rows, dilated_columns), group)


def _grid(node: Any) -> Grid:
    low, high = (float(np.asarray(node.input_value(i).get_node().get_data()).reshape(-1)[0]) for i in (3, 4))
    levels = int(node.get_attributes()["levels"])
    scale = (high - low) / (levels - 1)
    return Grid(scale, round(-low / scale), 0, levels - 1)
