"""What a network costs: parameters, multiply-adds, weight bytes and activation memory, without torch.

A block's cost is worked out once for its channels, in closed form: parameters, multiply-adds and
live memory are linear in the areas of the few extents inside it. A network's totals are sums (the
peak: a maximum) over its blocks, a run of equal blocks taken at once. The same figures can be
counted on an exported graph, and must be equal, by these rules:

Rows
    One per ``Conv``, ``Gemm``, ``Add``, ``Mul``, ``Sigmoid``, ``HardSigmoid``, ``HardSwish``, ``Tanh``,
    ``LRN``, ``Concat``, ``Slice``, ``Pad`` of channels, ``MaxPool``, ``AveragePool`` and
    ``GlobalAveragePool``, in the order of execution, named as the layer. SiLU is two rows,
    ``name.sigmoid`` and ``name.mul``; the mean of n branches is n - 1 rows ``name.add`` and
    ``name.mul``; shuffling channels is ``name.transpose``. An average pool whose one window is the
    whole image is a global one. No row of their own have: batch norm behind a convolution, ReLU
    and ReLU6, fused into the row that produces their input, unless others read that too; constant
    factors, a part of the weights; flatten, a view; padding of height and width, a part of its
    convolution or pool; dropout and dropped paths, absent. Batch norm behind anything else is a
    depthwise ``Conv`` with 1×1 kernels.
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
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import ge, mul
from typing import NamedTuple

from edgekit.models.deployed import Step, steps_of
from edgekit.models.layers import INPUT_EXTENT, POINT_EXTENT
from edgekit.models.network import Network, Site, Structure
from edgekit.options import PRECISIONS, Precision

__all__ = ["Cost", "CostRow", "activation_itemsize", "cost", "op_of", "weight_bytes"]

_INT8_WEIGHTS: tuple[Precision, ...] = ("int8", "dynamic", "weight-only", "int16")
_WEIGHT_BYTES: dict[Precision, int] = {"fp32": 4, "fp16": 2, **dict.fromkeys(_INT8_WEIGHTS, 1)}
_BIAS_BYTES: dict[Precision, int] = {"fp32": 4, "fp16": 2, **dict.fromkeys(_INT8_WEIGHTS, 4), "int16": 8}
_ACTIVATION_BYTES: dict[Precision, int] = {**dict.fromkeys(PRECISIONS, 4), "int8": 1, "int16": 2}


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

    @property
    def activation_bytes(self) -> int:
        """Those of all rows together."""
        elements: int = sum(
            run.repeat * sum(map(mul, _form(run.site.structure).activations, run.site.areas))
            for run in self.network.runs
        )
        return elements * activation_itemsize(self.precision)

    def layer_names(self) -> list[str]:
        """Those of the rows."""
        return [row.name for row in self.layers()]

    def layers(self) -> tuple[CostRow, ...]:
        """One row for each deployed layer, in order."""
        itemsize = activation_itemsize(self.precision)
        return tuple(
            _row(block.name, step, block.site, itemsize)
            for block in self.network.blocks()
            for step in steps_of(block.site.structure)
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
    for _, repeat, site in network.runs:
        form = _form(site.structure)
        areas = site.areas
        weights += repeat * sum(map(mul, form.weights, areas))
        macs += repeat * sum(map(mul, form.macs, areas))
        biases += repeat * form.biases
        params += repeat * form.other_params
        peak = max(peak, *[sum(map(mul, live, areas)) for live in form.peaks])
    return Cost(
        network,
        precision,
        params + weights,
        macs,
        weight_bytes(weights, biases, precision),
        peak * activation_itemsize(precision),
    )


_Areal = tuple[int, ...]
"""A sum over extents: the factor of each extent's area."""


class _Form(NamedTuple):
    """A block's totals as functions of its areas; ``peaks`` are the steps that can be the largest."""

    weights: _Areal
    macs: _Areal
    activations: _Areal
    peaks: tuple[_Areal, ...]
    biases: int
    other_params: int


@lru_cache(maxsize=1 << 15)
def _form(structure: Structure) -> _Form:
    steps = steps_of(structure)
    extents = POINT_EXTENT + 1 + len(structure.windows)
    weights, macs, activations = [0] * extents, [0] * extents, [0] * extents
    biases = other_params = 0
    for step in steps:
        weights[step.weights_extent] += step.weights
        # A window's products are summed at every output pixel, a flattened image's at every input pixel.
        extent = step.out.extent if step.weights_extent == POINT_EXTENT else step.weights_extent
        macs[extent] += step.out.channels * step.products
        activations[step.out.extent] += step.out.channels
        biases += step.biases
        other_params += step.other_params
    return _Form(
        tuple(weights), tuple(macs), tuple(activations), _peaks(steps, extents), biases, other_params
    )


def _peaks(steps: Sequence[Step], extents: int) -> tuple[_Areal, ...]:
    """What is alive at each step, without the steps that never exceed another at any size."""
    last_use: dict[str, int] = {}
    for index, step in enumerate(steps):
        last_use[step.out.name] = index
        for tensor in step.inputs:
            last_use[tensor.name] = index
    live = [0] * extents
    live[INPUT_EXTENT] = steps[0].inputs[0].channels
    moments = []
    for index, step in enumerate(steps):
        live[step.out.extent] += step.out.channels
        moments.append(tuple(live))
        for tensor in {step.out, *step.inputs}:
            if last_use[tensor.name] == index:
                live[tensor.extent] -= tensor.channels
    return _undominated(moments)


def _undominated(moments: list[_Areal]) -> tuple[_Areal, ...]:
    kept: list[_Areal] = []
    for moment in sorted(set(moments), key=sum, reverse=True):
        if not any(all(map(ge, other, moment)) for other in kept):
            kept.append(moment)
    return tuple(kept)


def _row(block: str, step: Step, site: Site, itemsize: int) -> CostRow:
    shape = site.shape(step.out)
    elements = math.prod(shape)
    area = math.prod(site.sizes[step.weights_extent])
    weights = step.weights * area
    return CostRow(
        f"{block}.{step.out.name}",
        op_of(step, site),
        (1, *(shape if step.groups == 1 else (shape[0] // step.groups, step.groups, *shape[1:]))),
        elements * itemsize,
        weights + step.other_params,
        elements * step.products * area,
        weights,
        step.biases,
    )


def op_of(step: Step, site: Site) -> str:
    """The operator at one size: an average over a window that is the whole image is a global one."""
    window = step.window
    if step.op != "AveragePool" or window is None or window.pad:
        return step.op
    return "GlobalAveragePool" if window.kernel == site.sizes[window.source] else step.op
