"""What a network costs: parameters, multiply-adds, weight bytes and activation memory, without torch.

A block's cost is worked out once for its channels, in closed form: parameters, multiply-adds and
live memory are linear in the areas of the few extents inside it. A network's totals are sums (the
peak: a maximum) over its blocks, a run of equal blocks taken at once. The same figures can be
counted on an exported graph, and must be equal, by these rules:

Rows
    One per ``Conv``, ``Gemm``, ``Add``, ``Mul``, ``Sigmoid``, ``HardSwish``, ``Concat``, ``MaxPool``,
    ``AveragePool`` and ``GlobalAveragePool``, in the order of execution, named as the layer.
    SiLU is two rows, ``name.sigmoid`` and ``name.mul``. No row of their own have: batch norm, ReLU
    and ReLU6, fused into the row that produces their input; flatten, a view of it; padding, a part
    of its convolution; dropout, absent.
Multiply-adds (``macs``)
    Of ``Conv`` and ``Gemm`` only: output elements × products summed for each. One multiply-add is one
    operation; adding a bias is none.
Parameters
    ``params`` are the learnable ones of the training graph, as publications count them: weights,
    biases, batch norm's gain and shift. Deployed, batch norm is folded, and every ``Conv`` and
    ``Gemm`` has ``weights`` and one bias per output channel (``biases``).
Weight bytes
    fp32: 4 for each weight and bias. fp16: 2 for each. int8 and dynamic: 1 for each weight, 4 for
    each bias. Scales and the file's own structure are not counted.
Activation bytes
    Elements of the row's output for one image: 1 byte each at int8, else 4 (fp16 and dynamic files
    compute in float32).
Peak activation bytes
    The rows are walked in order. While a row runs, live are its inputs, its output, and every
    tensor made before it, the network's input included, that it or a later row reads; the peak is
    the largest sum of their bytes. A fused or viewed tensor is the tensor it is fused into or a
    view of. Nothing is computed in place.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import mul
from typing import Any, NamedTuple

from edgekit.models.layers import (
    INPUT,
    INPUT_EXTENT,
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
from edgekit.models.network import Network, Site, Structure
from edgekit.options import Precision

__all__ = ["Cost", "CostRow", "activation_itemsize", "cost", "weight_bytes"]

_WEIGHT_BYTES: dict[Precision, int] = {"fp32": 4, "fp16": 2, "int8": 1, "dynamic": 1}
_BIAS_BYTES: dict[Precision, int] = {"fp32": 4, "fp16": 2, "int8": 4, "dynamic": 4}
_ACTIVATION_BYTES: dict[Precision, int] = {"fp32": 4, "fp16": 4, "int8": 1, "dynamic": 4}


class CostRow(NamedTuple):
    """One deployed layer. ``output_shape`` is ``(1, C, H, W)`` or ``(1, features)``."""

    name: str
    op: str
    output_shape: tuple[int, ...]
    activation_bytes: int
    params: int
    macs: int
    weights: int
    biases: int


@dataclass(frozen=True)
class Cost:
    """Totals of one network at one precision, for one image; ``layers()`` gives the rows."""

    network: Network
    precision: Precision
    params: int
    macs: int
    weight_bytes: int
    peak_activation_bytes: int

    def layers(self) -> tuple[CostRow, ...]:
        """One row for each deployed layer, in order."""
        itemsize = activation_itemsize(self.precision)
        return tuple(
            _row(block.name, step, block.site, itemsize)
            for block in self.network.blocks()
            for step in _steps(block.site.structure)
        )


def activation_itemsize(precision: Precision) -> int:
    """Bytes of one activation at run time."""
    return _ACTIVATION_BYTES[precision]


def weight_bytes(weights: int, biases: int, precision: Precision) -> int:
    """Bytes of the deployed constants."""
    return weights * _WEIGHT_BYTES[precision] + biases * _BIAS_BYTES[precision]


def cost(network: Network, precision: Precision = "fp32") -> Cost:
    """The totals of ``network``."""
    params = macs = weights = biases = peak = 0
    for _, count, site in network.runs:
        form = _form(site.structure)
        areas = [height * width for height, width in site.sizes]
        weights += count * sum(map(mul, form.weights, areas))
        macs += count * sum(map(mul, form.macs, areas))
        biases += count * form.biases
        params += count * form.other_params
        peak = max(peak, *[sum(map(mul, live, areas)) for live in form.peaks])
    return Cost(
        network,
        precision,
        params + weights,
        macs,
        weight_bytes(weights, biases, precision),
        peak * activation_itemsize(precision),
    )


_Linear = tuple[int, ...]
"""The factor of each extent's area in a sum over extents."""


class _Step(NamedTuple):
    """A deployed layer inside its block.

    ``products`` are summed for each output element; weights are ``weights`` × the area of
    ``weights_extent``, which only a layer on a flattened image makes more than a point.
    """

    out: Tensor
    op: str
    inputs: tuple[Tensor, ...]
    products: int = 0
    weights: int = 0
    biases: int = 0
    other_params: int = 0
    weights_extent: int = POINT_EXTENT


class _Form(NamedTuple):
    """A block's totals as functions of its areas; ``peaks`` are the steps that can be the largest."""

    weights: _Linear
    macs: _Linear
    peaks: tuple[_Linear, ...]
    biases: int
    other_params: int


def _row(block: str, step: _Step, site: Site, itemsize: int) -> CostRow:
    shape = site.shape(step.out)
    area = math.prod(site.sizes[step.weights_extent])
    weights = step.weights * area
    return CostRow(
        f"{block}.{step.out.name}",
        step.op,
        (1, *shape),
        math.prod(shape) * itemsize,
        weights + step.other_params,
        math.prod(shape) * step.products * area,
        weights,
        step.biases,
    )


@lru_cache(maxsize=1 << 15)
def _form(structure: Structure) -> _Form:
    weights: Counter[int] = Counter()
    macs: Counter[int] = Counter()
    steps = _steps(structure)
    for step in steps:
        weights[step.weights_extent] += step.weights
        # A window's products are summed at every output pixel, a flattened image's once for each input pixel.
        extent = step.out.extent if step.weights_extent == POINT_EXTENT else step.weights_extent
        macs[extent] += step.out.channels * step.products
    return _Form(
        _factors(weights),
        _factors(macs),
        _peaks(steps),
        sum(step.biases for step in steps),
        sum(step.other_params for step in steps),
    )


@lru_cache(maxsize=1 << 12)
def _steps(structure: Structure) -> tuple[_Step, ...]:
    """The deployed layers of a block, each reading the tensors that really are its inputs."""
    steps: dict[str, _Step] = {}
    source = {INPUT: INPUT}
    for layer in structure.layers:
        inputs = tuple(tensor._replace(name=source[tensor.name]) for tensor in layer.inputs)
        if isinstance(layer, BatchNorm):
            step = steps[inputs[0].name]
            steps[inputs[0].name] = step._replace(other_params=step.other_params + 2 * layer.out.channels)
        made = _MAKERS[type(layer)](layer, inputs)
        steps.update((step.out.name, step) for step in made)
        source[layer.out.name] = made[-1].out.name if made else inputs[0].name
    return tuple(steps.values())


def _conv(layer: Conv, inputs: tuple[Tensor, ...]) -> tuple[_Step, ...]:
    channels = layer.out.channels
    products = inputs[0].channels // layer.groups * layer.kernel[0] * layer.kernel[1]
    other = channels if layer.bias else 0
    return (_Step(layer.out, "Conv", inputs, products, channels * products, channels, other),)


def _linear(layer: Linear, inputs: tuple[Tensor, ...]) -> tuple[_Step, ...]:
    features, products = layer.out.channels, inputs[0].channels
    weights = features * products
    return (_Step(layer.out, "Gemm", inputs, products, weights, features, features, inputs[0].extent),)


def _activation(layer: Activation, inputs: tuple[Tensor, ...]) -> tuple[_Step, ...]:
    if layer.kind == "silu":
        gate = layer.out._replace(name=f"{layer.out.name}.sigmoid")
        product = layer.out._replace(name=f"{layer.out.name}.mul")
        return _Step(gate, "Sigmoid", inputs), _Step(product, "Mul", (*inputs, gate))
    op = _ACTIVATION_OPS.get(layer.kind)
    return (_Step(layer.out, op, inputs),) if op else ()


def _plain(op: str) -> Callable[[Layer, tuple[Tensor, ...]], tuple[_Step, ...]]:
    return lambda layer, inputs: (_Step(layer.out, op, inputs),)


def _absent(layer: Layer, inputs: tuple[Tensor, ...]) -> tuple[_Step, ...]:
    return ()


_ACTIVATION_OPS = {"sigmoid": "Sigmoid", "hardswish": "HardSwish"}
_MAKERS: dict[type[Layer], Callable[[Any, tuple[Tensor, ...]], tuple[_Step, ...]]] = {
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


def _peaks(steps: Sequence[_Step]) -> tuple[_Linear, ...]:
    """What is alive at each step, without the steps that never exceed another at any size."""
    last_use: dict[str, int] = {}
    for index, step in enumerate(steps):
        last_use[step.out.name] = index
        last_use.update((tensor.name, index) for tensor in step.inputs)
    live: Counter[int] = Counter()
    moments: list[Counter[int]] = []
    first = steps[0].inputs[0]
    live[INPUT_EXTENT] = first.channels
    for index, step in enumerate(steps):
        live[step.out.extent] += step.out.channels
        moments.append(live.copy())
        for tensor in {step.out, *step.inputs}:
            if last_use[tensor.name] == index:
                live[tensor.extent] -= tensor.channels
    return tuple(_factors(moment) for moment in _undominated(moments))


def _factors(sums: Counter[int]) -> _Linear:
    return tuple(sums[extent] for extent in range(max(sums) + 1))


def _undominated(moments: list[Counter[int]]) -> list[Counter[int]]:
    kept: list[Counter[int]] = []
    for moment in sorted(moments, key=lambda each: -each.total()):
        if not any(all(other[extent] >= moment[extent] for extent in moment) for other in kept):
            kept.append(moment)
    return kept
