"""What a layer's quantized weights alone do to its output, fed with fp32 inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit.graph.ops import OPSET, infer_types
from edgekit.graph.run import GraphRunner
from edgekit.graph.values import AttributeValue, add_initializer, new_node
from edgekit.runtimes.layers import FileLayer, Window

__all__ = ["Products", "WeightPair"]

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class WeightPair:
    """A layer of the reference, by its index, and the file's weights in the reference's units."""

    index: int
    layer: FileLayer
    weight: FloatArray


class Products:
    """Runs all weighted layers side by side: with the reference's weights, and with the difference.

    A layer is linear in its weights, so the difference's output is the output's difference. The bias
    has no part in it.
    """

    def __init__(self, pairs: list[WeightPair], sources: Mapping[int, FloatArray]) -> None:
        self._dense = [pair for pair in pairs if pair.layer.window is None]
        self._convolutions = [pair for pair in pairs if pair.layer.window is not None]
        self._runner = self._open(sources) if self._convolutions else None

    def run(self, sources: Mapping[int, FloatArray]) -> dict[int, tuple[FloatArray, FloatArray]]:
        """Index → the products and what changes in them, for each layer's fp32 input."""
        found = {pair.index: _multiplied(pair, sources[pair.index]) for pair in self._dense}
        if self._runner is not None:
            feeds = {f"x{pair.index}": sources[pair.index] for pair in self._convolutions}
            outputs = self._runner.run(feeds)
            for pair in self._convolutions:
                found[pair.index] = outputs[f"y{pair.index}"], outputs[f"d{pair.index}"]
        return found

    def _open(self, sources: Mapping[int, FloatArray]) -> GraphRunner:
        graph = ir.Graph([], [], nodes=[], opset_imports={"": OPSET}, name="products")
        for pair in self._convolutions:
            assert pair.layer.weight is not None
            shape = sources[pair.index].shape
            image = ir.val(f"x{pair.index}", ir.DataType.FLOAT, shape)
            graph.inputs.append(image)
            weights = {"y": pair.layer.weight, "d": pair.weight - pair.layer.weight}
            for letter, weight in weights.items():
                _append(graph, f"{letter}{pair.index}", image, weight, pair.layer.window, shape)
        return GraphRunner(ir.Model(graph, ir_version=10))


def _append(
    graph: ir.Graph,
    name: str,
    image: ir.Value,
    weight: FloatArray,
    window: Window | None,
    shape: tuple[int, ...],
) -> None:
    assert window is not None
    kernel = weight.shape[2:]
    attributes: dict[str, AttributeValue] = {
        "kernel_shape": list(kernel),
        "strides": list(window.strides),
        "pads": _pads(window, shape, kernel),
        "dilations": list(window.dilations),
        "group": window.group,
    }
    values = [image, add_initializer(graph, f"{name}.weight", np.ascontiguousarray(weight))]
    node = new_node("Conv", values, attributes, {})
    node.name = node.outputs[0].name = name
    graph.append(node)
    infer_types(node)
    graph.outputs.append(node.outputs[0])


def _pads(window: Window, shape: tuple[int, ...], kernel: tuple[int, ...]) -> list[int]:
    if window.pads is not None:
        return list(window.pads)
    sides = [
        _same(shape[2 + axis], kernel[axis], window.strides[axis], window.dilations[axis]) for axis in (0, 1)
    ]
    return [side[0] for side in sides] + [side[1] for side in sides]


def _same(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Pixels before and after that TensorFlow's SAME adds to one axis."""
    out = -(-size // stride)
    total = max((out - 1) * stride + (kernel - 1) * dilation + 1 - size, 0)
    return total // 2, total - total // 2


def _multiplied(pair: WeightPair, source: FloatArray) -> tuple[FloatArray, FloatArray]:
    assert pair.layer.weight is not None
    row = source.reshape(1, -1)
    return row @ pair.layer.weight.T, row @ (pair.weight - pair.layer.weight).T
