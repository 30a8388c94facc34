"""A block's layers as they are deployed: the rows of the cost model.

Batch norm and clamps are fused into the layer that makes their input, a flatten is a view, dropout is
gone, SiLU is a sigmoid and a product; :mod:`edgekit.models.cost` states the rules.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from edgekit.models.layers import (
    INPUT,
    POINT_EXTENT,
    Activation,
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Dropout,
    DropPath,
    Factor,
    Flatten,
    GlobalPool,
    Layer,
    Linear,
    MaxPool,
    Mean,
    Mul,
    Narrow,
    PadChannels,
    ResponseNorm,
    Shuffle,
    Tensor,
    Window,
)
from edgekit.models.network import Network, Structure

__all__ = ["Step", "depth_of", "steps_of"]

_CLAMPS = {"relu": "Relu", "relu6": "Clip"}


class Step(NamedTuple):
    """A deployed layer inside its block, and the tensors it really reads.

    ``products`` are summed for each output element. There are ``weights`` for each pixel of
    ``weights_extent``, which is a point but where a layer reads a flattened image, and one bias for
    each output channel. ``other_params`` are learnable but no weights: biases, batch norm's two.
    ``window`` is of what slides one; ``groups`` are above 1 where channels are shuffled.
    """

    out: Tensor
    op: str
    inputs: tuple[Tensor, ...]
    products: int = 0
    weights: int = 0
    biases: int = 0
    other_params: int = 0
    weights_extent: int = POINT_EXTENT
    window: Window | None = None
    groups: int = 1


@lru_cache(maxsize=1 << 12)
def steps_of(structure: Structure) -> tuple[Step, ...]:
    """The deployed layers of a block, in the order in which they run."""
    steps: dict[str, Step] = {}
    source = {INPUT: INPUT}
    readers = Counter(x.name for layer in structure.layers for x in layer.inputs)
    for layer in structure.layers:
        name = layer.out.name
        inputs = tuple([Tensor(source[x.name], x.channels, x.extent, x.flat) for x in layer.inputs])
        made = _deployed(layer, inputs, steps, shared=readers[layer.inputs[0].name] > 1)
        for step in made:
            steps[step.out.name] = step
        source[name] = made[-1].out.name if made else inputs[0].name
        if isinstance(layer, BatchNorm) and not made:
            conv = steps[source[name]]
            gain_and_shift = 2 * layer.out.channels
            steps[source[name]] = conv._replace(other_params=conv.other_params + gain_and_shift)
    return tuple(steps.values())


def _deployed(
    layer: Layer, inputs: tuple[Tensor, ...], steps: dict[str, Step], *, shared: bool
) -> tuple[Step, ...]:
    """The steps of one layer; ``shared``: others read its input too, so that nothing is fused into it."""
    if isinstance(layer, Activation) and layer.kind in _CLAMPS and shared:
        return (Step(layer.out, _CLAMPS[layer.kind], inputs),)
    if isinstance(layer, BatchNorm):
        before = steps.get(inputs[0].name)
        if shared or before is None or before.op != "Conv" or before.out.name != layer.inputs[0].name:
            channels = layer.out.channels
            return (Step(layer.out, "Conv", inputs, 1, channels, channels, channels),)
    return _DEPLOYED[type(layer)](layer, inputs)


def depth_of(network: Network) -> int:
    """Layers with weights, one behind the other, on the longest way from image to logits.

    What papers call the layers of a network: a strided shortcut is on no longest way, and the gates of
    squeeze-and-excitation, which lead to a product, are not counted.
    """
    return sum(run.repeat * _depth(run.site.structure) for run in network.runs)


def _depth(structure: Structure) -> int:
    depths = {INPUT: 0}
    for layer in structure.layers:
        ways = layer.inputs[:1] if isinstance(layer, Mul) else layer.inputs
        weighted = isinstance(layer, Conv | Linear)
        depths[layer.out.name] = max(depths[x.name] for x in ways) + weighted
    return depths[structure.output.name]


_Maker = Callable[[Any, tuple[Tensor, ...]], tuple[Step, ...]]


def _conv(layer: Conv, inputs: tuple[Tensor, ...]) -> tuple[Step, ...]:
    channels = layer.out.channels
    products = inputs[0].channels // layer.groups * layer.kernel[0] * layer.kernel[1]
    other = channels if layer.bias else 0
    step = Step(layer.out, "Conv", inputs, products, channels * products, channels, other)
    return (step._replace(window=layer.window),)


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


def _mean(layer: Mean, inputs: tuple[Tensor, ...]) -> tuple[Step, ...]:
    """Sums of two, then a product with a constant."""
    steps: list[Step] = []
    total = inputs[0]
    for index, x in enumerate(inputs[1:], start=1):
        name = f"{layer.out.name}.add" + (f"_{index}" if index > 1 else "")
        steps.append(Step(layer.out._replace(name=name), "Add", (total, x)))
        total = steps[-1].out
    return (*steps, Step(layer.out._replace(name=f"{layer.out.name}.mul"), "Mul", (total,)))


def _shuffle(layer: Shuffle, inputs: tuple[Tensor, ...]) -> tuple[Step, ...]:
    """Channels as rows of a table, transposed; seeing them so moves nothing."""
    out = layer.out._replace(name=f"{layer.out.name}.transpose")
    return (Step(out, "Transpose", inputs, groups=layer.groups),)


def _pool(op: str) -> _Maker:
    return lambda layer, inputs: (Step(layer.out, op, inputs, window=layer.window),)


def _plain(op: str) -> _Maker:
    return lambda layer, inputs: (Step(layer.out, op, inputs),)


def _absent(layer: Layer, inputs: tuple[Tensor, ...]) -> tuple[Step, ...]:
    return ()


_ACTIVATION_OPS = {
    "sigmoid": "Sigmoid",
    "hardswish": "HardSwish",
    "hardsigmoid": "HardSigmoid",
    "tanh": "Tanh",
}
_DEPLOYED: dict[type[Layer], _Maker] = {
    Conv: _conv,
    Linear: _linear,
    Activation: _activation,
    MaxPool: _pool("MaxPool"),
    AvgPool: _pool("AveragePool"),
    GlobalPool: _plain("GlobalAveragePool"),
    ResponseNorm: _plain("LRN"),
    Add: _plain("Add"),
    Mul: _plain("Mul"),
    Mean: _mean,
    Concat: _plain("Concat"),
    Narrow: _plain("Slice"),
    PadChannels: _plain("Pad"),
    Shuffle: _shuffle,
    BatchNorm: _absent,
    Factor: _absent,
    Flatten: _absent,
    Dropout: _absent,
    DropPath: _absent,
}
