"""Windows of convolutions and pools: which TFLite padding is exactly the graph's, if any.

TFLite knows two schemes. VALID pads nothing. SAME pads so that the output has ``ceil(input / stride)``
positions, with the odd pixel at the bottom and right. Whatever is neither gets an explicit PAD.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edgekit.emit.tflite.lowering import Lowering, attribute_ints
from edgekit.emit.tflite.schema import schema
from edgekit.graph.values import shape_of

__all__ = ["Side", "Window", "pad_explicitly"]


@dataclass(frozen=True)
class Side:
    """One dimension of a sliding window, in elements; ``before`` is the padding at the top or left."""

    kernel: int
    stride: int
    dilation: int
    before: int
    input_size: int
    output_size: int

    @property
    def reach(self) -> int:
        """Elements from the first padded one to the last one that any window position reads."""
        return (self.output_size - 1) * self.stride + (self.kernel - 1) * self.dilation + 1

    @property
    def after(self) -> int:
        """Padding at the bottom or right that is read at all; the graph may state more."""
        return max(0, self.reach - self.input_size - self.before)

    @property
    def is_valid(self) -> bool:
        """Whether no padded element is read."""
        return self.before == 0 and self.after == 0

    @property
    def is_same(self) -> bool:
        """Whether SAME gives exactly this padding and output size."""
        total = max(0, self.reach - self.input_size)
        positions = -(-self.input_size // self.stride)
        return self.output_size == positions and self.before == total // 2


@dataclass(frozen=True)
class Window:
    """Kernel, strides, dilations and padding of a convolution or pool, height first."""

    height: Side
    width: Side

    @classmethod
    def of(cls, node: ir.Node) -> Window:
        """Read from a ``Conv``, ``MaxPool`` or ``AveragePool`` with explicit attributes."""
        size_in, size_out = (shape_of(value)[2:] for value in (node.inputs[0], node.outputs[0]))
        kernel = attribute_ints(node, "kernel_shape", (1, 1))
        strides = attribute_ints(node, "strides", (1, 1))
        dilations = attribute_ints(node, "dilations", (1, 1))
        pads = attribute_ints(node, "pads", (0, 0, 0, 0))
        sides = [
            Side(kernel[i], strides[i], dilations[i], pads[i], size_in[i], size_out[i]) for i in range(2)
        ]
        return cls(*sides)

    @property
    def explicit(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """((top, bottom), (left, right)) elements that are read."""
        return (self.height.before, self.height.after), (self.width.before, self.width.after)

    @property
    def scheme(self) -> int | None:
        """TFLite's padding code, or None when only an explicit pad is exact."""
        if self.height.is_valid and self.width.is_valid:
            return int(schema.Padding.VALID)
        if self.height.is_same and self.width.is_same:
            return int(schema.Padding.SAME)
        return None


def pad_explicitly(lowering: Lowering, source: int, window: Window, name: str) -> int:
    """``source`` padded with zeros of its scale by what ``window`` reads beyond it."""
    (top, bottom), (left, right) = window.explicit
    batch, height, width, channels = lowering.program.tensors[source].shape
    shape = (batch, height + top + bottom, width + left + right, channels)
    target = lowering.intermediate(f"{name}.pad", like=source, shape=shape)
    table = np.asarray([(0, 0), *window.explicit, (0, 0)], np.int32)
    amounts = lowering.program.add_constant(f"pad.{top}_{bottom}_{left}_{right}", table)
    lowering.program.add_operator("PAD", [source, amounts], [target])
    return target
