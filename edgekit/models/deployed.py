"""A block's layers as they are deployed: the rows of the cost model.

Batch norm and clamps are fused into the layer that makes their input, a flatten is a view, dropout is
gone, SiLU is a sigmoid and a product; :mod:`edgekit.models.cost` states the rules.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from edgekit.models.layers import (
    INPUT,
    POINT_EXTENT,
    Activation,
    Add,
    BatchNorm,
    Concat,
    Conv,
    Dropout,
    Flatten,
    GlobalPool,
    Layer,
    Linear,
    MaxPool,
    Mul,
    Tensor,
)
from edgekit.models.network import Structure

__all__ = ["Step", "steps_of"]


class Step(NamedTuple):
    """A deployed layer inside its block, and the tensors it really reads.

    ``products`` are summed for each output element. There are ``weights`` for each pixel of
    ``weights_extent``, which is a point but where a layer reads a flattened image, and one bias for
    each output channel. ``other_params`` are learnable but no weights: biases, batch norm's two.
    """

    out: Tensor
    op: str
    inputs: tuple[Tensor, ...]
    products: int = 0
    weights: int = 0
    biases: int = 0
    other_params: int = 0
    weights_extent: int = POINT_EXTENT


@lru_cache(maxsize=1 << 12)
def steps_of(structure: Structure) -> tuple[Step, ...]:
    """The deployed layers of a block, in the order in which they run."""
    steps: dict[str, Step] = {}
    source = {INPUT: INPUT}
    for layer in structure.layers:
        name = layer.out.name
        inputs = tuple([Tensor(source[x.name], x.channels, x.extent, x.flat) for x in layer.inputs])
        made = _DEPLOYED[type(layer)](layer, inputs)
        for step in made:
            steps[step.out.name] = step
        source[name] = made[-1].out.name if made else inputs[0].name
        if isinstance(layer, BatchNorm):
            conv = steps[source[name]]
            gain_and_shift = 2 * layer.out.channels
            steps[source[name]] = conv._replace(other_params=conv.other_params + gain_and_shift)
    return tuple(steps.values())


_Maker = Callable[[Any, tuple[Tensor, ...]], tuple[Step, ...]]


def _conv(layer: Conv, inputs: tuple[Tensor, ...]) -> tuple[Step, ...]:
    channels = layer.out.channels
    products = inputs[0].channels // layer.groups * layer.kernel[0] * layer.kernel[1]
    other = channels if layer.bias else 0
    return (Step(layer.out, "Conv", inputs, products, channels * products, channels, other),)


def _linear(layer: Linear, inputs: tuple[Tensor, ...]) -> tuple[Step, ...]:
    features, products = layer.out.channels, inputs[0].channels
    weights = features * products
    return (Step(layer.out, "Gemm", inputs, products, weights, features, features, inputs[0].extent),)


def _activation(layer: Activation, inputs: tuple[Tensor, ...]) -> tuple[Step, ...]:
    if layer.kind == "silu":
        gate = layer.out._replace(name=f"{layer.out.name}.sigmoid")
        product = layer.out._replace(name=f"{layer.out.name}.mul")
        return Step(gate, "Sigmoid", inputs), Step(product, "Mul", (*inputs, gate))
    op = _ACTIVATION_OPS.get(layer.kind)
    return (Step(layer.out, op, inputs),) if op else ()


def _plain(op: str) -> _Maker:
    return lambda layer, inputs: (Step(layer.out, op, inputs),)


def _absent(layer: Layer, inputs: tuple[Tensor, ...]) -> tuple[Step, ...]:
    return ()


_ACTIVATION_OPS = {"sigmoid": "Sigmoid", "hardswish": "HardSwish"}
_DEPLOYED: dict[type[Layer], _Maker] = {
    Conv: _conv,
    Linear: _linear,
    Activation: _activation,
    MaxPool: _plain("MaxPool"),
    GlobalPool: _plain("GlobalAveragePool"),
    Add: _plain("Add"),
    Mul: _plain("Mul"),
    Concat: _plain("Concat"),
    BatchNorm: _absent,
    Flatten: _absent,
    Dropout: _absent,
}
