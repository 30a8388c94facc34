"""The work of a network told apart by what computes it, for a latency model of the machine at hand.

Published tables have a dozen rows for a device, which settle the few kinds of :mod:`edgekit.search.work`.
Where a profiler times every layer there are thousands, and each kind of kernel gets prices of its own: for
multiply-adds, for what it writes and for what it reads. Kernels work on channels in packs, so a pack that
is not full costs as much as a full one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import lru_cache

from edgekit.models.deployed import Step, steps_of
from edgekit.models.layers import POINT_EXTENT
from edgekit.models.network import Structure

__all__ = ["LAYER_KINDS", "layer_forms", "step_forms"]

LAYER_KINDS = (
    "pointwise_mac",
    "pointwise_output",
    "pointwise_input",
    "convolution_mac",
    "convolution_output",
    "convolution_input",
    "depthwise_mac",
    "depthwise_output",
    "grouped_mac",
    "grouped_output",
    "linear_weight",
    "weight",
    "gate_element",
    "elementwise_element",
    "pooled_element",
    "operator",
)
"""What a network is charged for. ``pointwise`` are 1×1 convolutions, ``convolution`` other full ones,
``grouped`` those of several groups that are not depthwise; ``linear_weight`` is each weight of a fully
connected layer, ``weight`` each of a convolution; ``gate`` are sigmoid and its kin; ``pooled_element`` is
each that a pool reads, as often as windows overlap."""

_OUTPUT_PACK = 16
_INPUT_PACK = 4
_GATES = ("Sigmoid", "HardSwish", "HardSigmoid", "Tanh", "LRN")
_POOLS = ("MaxPool", "AveragePool", "GlobalAveragePool")

Forms = dict[str, Counter[int]]


@lru_cache(maxsize=1 << 15)
def layer_forms(structure: Structure) -> tuple[tuple[float, ...], ...]:
    """For each kind, its factor of each extent's area in a block."""
    extents = len(structure.windows) + 2
    sums: Forms = {kind: Counter() for kind in LAYER_KINDS}
    for step in steps_of(structure):
        for kind, factors in step_forms(step).items():
            sums[kind].update(factors)
    return tuple(tuple(float(sums[kind][extent]) for extent in range(extents)) for kind in LAYER_KINDS)


def step_forms(step: Step) -> Forms:
    """The same for one layer, the kinds that it has."""
    forms = _FORMS.get(step.op, _elementwise)(step)
    forms["operator"] = Counter({POINT_EXTENT: 1})
    return forms


def _conv(step: Step) -> Forms:
    source = step.inputs[0]
    area = step.window.kernel[0] * step.window.kernel[1] if step.window else 1
    kind = _kind_of(source.channels, step.products, area)
    outputs = _packed(step.out.channels, _OUTPUT_PACK)
    products = step.products if kind == "depthwise" else _packed(step.products, _INPUT_PACK)
    forms = {
        f"{kind}_mac": Counter({step.out.extent: outputs * products}),
        f"{kind}_output": Counter({step.out.extent: outputs}),
        "weight": Counter({POINT_EXTENT: step.weights}),
    }
    if kind in ("pointwise", "convolution"):
        forms[f"{kind}_input"] = Counter({source.extent: source.channels})
    return forms


def _kind_of(channels: int, products: int, area: int) -> str:
    if products == channels * area:
        return "pointwise" if area == 1 else "convolution"
    return "depthwise" if products == area else "grouped"


def _gemm(step: Step) -> Forms:
    return {"linear_weight": Counter({step.weights_extent: step.weights})}


def _gate(step: Step) -> Forms:
    return {"gate_element": Counter({step.out.extent: step.out.channels})}


def _pool(step: Step) -> Forms:
    if step.window is None:
        return {"pooled_element": Counter({step.inputs[0].extent: step.inputs[0].channels})}
    area = step.window.kernel[0] * step.window.kernel[1]
    return {"pooled_element": Counter({step.out.extent: step.out.channels * area})}


def _elementwise(step: Step) -> Forms:
    moved: Counter[int] = Counter()
    for tensor in (step.out, *step.inputs):
        moved[tensor.extent] += tensor.channels
    return {"elementwise_element": moved}


def _packed(channels: int, pack: int) -> int:
    return -(-channels // pack) * pack


_FORMS: dict[str, Callable[[Step], Forms]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    **dict.fromkeys(_GATES, _gate),
    **dict.fromkeys(_POOLS, _pool),
}
