"""Small canonical graphs for tests, built node by node with seeded weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit.graph.ops import OPSET, infer_types, required_opset
from edgekit.graph.values import AttributeValue, add_initializer

__all__ = ["NETWORKS", "FloatArray", "GraphBuilder"]

FloatArray = npt.NDArray[np.float32]


class GraphBuilder:
    """Appends nodes with seeded weights; ``model`` closes the graph with the output ``logits``."""

    def __init__(self, input_shape: Sequence[int], seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.image = ir.val("image", dtype=ir.DataType.FLOAT, shape=ir.Shape(input_shape))
        self.graph = ir.Graph([self.image], [], nodes=[], opset_imports={"": OPSET}, name="small")

    def op(
        self, op_type: str, *inputs: ir.Value | npt.ArrayLike, name: str = "", **attributes: AttributeValue
    ) -> ir.Value:
        """One node; arrays become initializers. Returns its output."""
        name = name or f"layer{len(self.graph)}.{op_type.lower()}"
        values = [
            value
            if isinstance(value, ir.Value)
            else add_initializer(self.graph, f"{name}.input{i}", np.asarray(value))
            for i, value in enumerate(inputs)
        ]
        node = ir.node(op_type, values, attributes, name=name)
        node.outputs[0].name = name
        self.graph.append(node)
        infer_types(node)
        return node.outputs[0]

    def normal(self, *shape: int, scale: float = 1.0) -> FloatArray:
        """Seeded normal numbers."""
        return (self.random.standard_normal(shape) * scale).astype(np.float32)

    def conv(
        self,
        x: ir.Value,
        filters: int,
        kernel: int | tuple[int, int] = 3,
        stride: int = 1,
        pads: Sequence[int] = (0, 0, 0, 0),
        group: int = 1,
        dilation: int = 1,
    ) -> ir.Value:
        """``Conv`` with all its attributes, weights of about unit gain, and a bias."""
        assert x.shape is not None
        channels = int(x.shape.numpy()[1]) // group
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        weight = self.normal(filters, channels, height, width, scale=(channels * height * width) ** -0.5)
        return self.op(
            "Conv",
            x,
            weight,
            self.normal(filters, scale=0.1),
            kernel_shape=[height, width],
            strides=[stride, stride],
            pads=list(pads),
            dilations=[dilation, dilation],
            group=group,
        )

    def gemm(self, x: ir.Value, units: int) -> ir.Value:
        """A classifier of ``units`` outputs."""
        assert x.shape is not None
        features = int(x.shape.numpy()[1])
        weight = self.normal(units, features, scale=features**-0.5)
        return self.op("Gemm", x, weight, self.normal(units, scale=0.1), transB=1)

    def relu6(self, x: ir.Value) -> ir.Value:
        """``Clip`` to [0, 6]."""
        return self.op("Clip", x, np.float32(0), np.float32(6))

    def model(self, output: ir.Value) -> ir.Model:
        """The finished model; ``output`` becomes ``logits``."""
        output.name = "logits"
        producer = output.producer()
        assert producer is not None
        producer.name = "logits"
        self.graph.outputs.append(output)
        self.graph.opset_imports[""] = required_opset(self.graph)
        return ir.Model(self.graph, ir_version=10)


def _plain(b: GraphBuilder) -> ir.Value:
    x = b.relu6(b.conv(b.image, 8, stride=2, pads=(0, 0, 1, 1)))
    x = b.relu6(b.conv(x, 8, group=8, pads=(1, 1, 1, 1)))
    x = b.op("Add", b.conv(x, 8, kernel=1), b.conv(x, 8, kernel=1))
    return b.gemm(b.op("Flatten", b.op("GlobalAveragePool", b.op("Relu", x)), axis=1), 10)


def _gated(b: GraphBuilder) -> ir.Value:
    """SiLU and squeeze-and-excite, as in EfficientNet."""
    x = b.conv(b.image, 8, stride=2, pads=(1, 1, 1, 1))
    x = b.op("Mul", x, b.op("Sigmoid", x))
    gate = b.op("Relu", b.conv(b.op("GlobalAveragePool", x), 4, kernel=1))
    x = b.op("Mul", x, b.op("Sigmoid", b.conv(gate, 8, kernel=1)))
    return b.gemm(b.op("Flatten", b.op("GlobalAveragePool", b.conv(x, 8)), axis=1), 10)


def _hard(b: GraphBuilder) -> ir.Value:
    """Hard-swish and hard-sigmoid, as in MobileNetV3."""
    x = b.op("HardSwish", b.conv(b.image, 8, stride=2, pads=(1, 1, 1, 1)))
    gate = b.conv(b.op("GlobalAveragePool", x), 8, kernel=1)
    x = b.op("Mul", x, b.op("HardSigmoid", gate, alpha=1 / 6, beta=0.5))
    return b.gemm(b.op("Flatten", b.op("GlobalAveragePool", b.conv(x, 8)), axis=1), 10)


def _fire(b: GraphBuilder) -> ir.Value:
    """Concatenation and max pooling, as in SqueezeNet, with a pooled convolution as the classifier."""
    x = b.op("Relu", b.conv(b.image, 8, stride=2))
    x = b.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
    x = b.op("Concat", b.op("Relu", b.conv(x, 4, 1)), b.op("Relu", b.conv(x, 4, pads=(1, 1, 1, 1))), axis=1)
    return b.op("Flatten", b.op("GlobalAveragePool", b.op("Relu", b.conv(x, 10, 1))), axis=1)


NETWORKS: dict[str, Callable[[GraphBuilder], ir.Value]] = {
    "plain": _plain,
    "gated": _gated,
    "hard": _hard,
    "fire": _fire,
}
"""Networks of ``image`` [1, 3, 24, 24] in the manner of one family each."""
