"""The work of a network told apart by what computes it, for a latency model of the machine at hand.

Published tables have a dozen rows for a device, which settle the few kinds of :mod:`edgekit.search.work`.
Where a profiler times every layer there are thousands, and each kind of kernel gets prices of its own: for
multiply-adds, for what it writes and for what it reads. Kernels work on packs of channels and on tiles of
matrices, so one that is not full costs as much as a full one; how large they are differs between processors,
so small and large ones both have a price. Weights that a cache does not keep until the next image come from
memory: those of a network beyond some count have prices of their own, whatever its caches hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import lru_cache

from edgekit.models.deployed import Step, steps_of
from edgekit.models.layers import POINT_EXTENT
from edgekit.models.network import Structure

__all__ = ["LAYER_KINDS", "WEIGHTS_BEYOND", "layer_forms", "step_forms", "weight_forms", "weights_beyond"]

WEIGHTS_BEYOND = {
    f"weight_beyond_{count}": float(count) for count in (500_000, 1_000_000, 2_000_000, 4_000_000)
}
"""Kinds of what a network has of weights beyond a count, with that count."""

LAYER_KINDS = (
    "pointwise_mac",
    "pointwise_tile",
    "pointwise_tap",
    "pointwise_output",
    "pointwise_input",
    "pointwise_pixel",
    "convolution_mac",
    "convolution_tile",
    "convolution_tap",
    "convolution_output",
    "convolution_input",
    "convolution_pixel",
    "convolution_column",
    "depthwise_mac",
    "depthwise_output",
    "depthwise_input",
    "grouped_mac",
    "grouped_output",
    "linear_weight",
    "weight",
    "gate_element",
    "hard_gate_element",
    "arithmetic_element",
    "copied_element",
    "shuffled_element",
    "mean_element",
    "maximum_element",
    "average_element",
    "operator",
    *WEIGHTS_BEYOND,
)
"""What a network is charged for. ``pointwise`` are 1×1 convolutions, ``convolution`` other full ones,
``grouped`` those of several groups that are not depthwise. ``mac`` fills packs of 16 channels, ``tile``
blocks of 64 by 64 of them, ``tap`` packs of 64, for each place of the window; ``column`` is each number that
a window of a convolution gathers.
``linear_weight`` is each weight of a fully connected layer, ``weight`` each of a convolution. ``gate`` are
sigmoid and its kin, ``hard_gate`` what is made of clamps; an element of ``maximum`` and ``average`` is each
that a pool reads, as often as windows overlap, of ``mean`` each that a global one reads."""

_OUTPUT_PACK = 16
_INPUT_PACK = 4
_TILE = 64
_ELEMENTS = {
    **dict.fromkeys(("Sigmoid", "Tanh", "LRN"), "gate"),
    **dict.fromkeys(("HardSwish", "HardSigmoid"), "hard_gate"),
    **dict.fromkeys(("Concat", "Slice", "Pad"), "copied"),
    "Transpose": "shuffled",
    "GlobalAveragePool": "mean",
    "MaxPool": "maximum",
    "AveragePool": "average",
}

Forms = dict[str, Counter[int]]


@lru_cache(maxsize=1 << 15)
def layer_forms(structure: Structure) -> tuple[tuple[float, ...], ...]:
    """For each kind, its factor of each extent's area in a block; a block alone has no weights beyond."""
    extents = len(structure.windows) + 2
    sums: Forms = {kind: Counter() for kind in LAYER_KINDS}
    for step in steps_of(structure):
        for kind, factors in step_forms(step).items():
            sums[kind].update(factors)
    return tuple(tuple(float(sums[kind][extent]) for extent in range(extents)) for kind in LAYER_KINDS)


@lru_cache(maxsize=1 << 15)
def weight_forms(structure: Structure) -> tuple[float, ...]:
    """The factor of each extent's area in a block's count of weights."""
    counted: Counter[int] = Counter()
    for step in steps_of(structure):
        counted[step.weights_extent] += step.weights
    return tuple(float(counted[extent]) for extent in range(len(structure.windows) + 2))


def weights_beyond(weights: float) -> tuple[float, ...]:
    """For each of ``WEIGHTS_BEYOND``, how many of a network's weights are."""
    return tuple(max(weights - count, 0.0) for count in WEIGHTS_BEYOND.values())


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
    amounts = {"mac": outputs * products, "output": outputs}
    if kind in ("pointwise", "convolution"):
        taps = _packed(step.out.channels, _TILE) * area
        amounts |= {"tile": taps * _packed(source.channels, _TILE), "tap": taps, "pixel": 1}
    if kind == "convolution":
        amounts["column"] = step.products
    forms = {f"{kind}_{name}": Counter({step.out.extent: amount}) for name, amount in amounts.items()}
    if kind != "grouped":
        forms[f"{kind}_input"] = Counter({source.extent: source.channels})
    return forms | {"weight": Counter({POINT_EXTENT: step.weights})}


def _kind_of(channels: int, products: int, area: int) -> str:
    if products == channels * area:
        return "pointwise" if area == 1 else "convolution"
    return "depthwise" if products == area else "grouped"


def _gemm(step: Step) -> Forms:
    return {"linear_weight": Counter({step.weights_extent: step.weights})}


def _read(step: Step) -> Forms:
    """What it reads once, or, under a window that slides, as often as one holds it."""
    kind = f"{_ELEMENTS[step.op]}_element"
    if step.window is None:
        return {kind: Counter({step.inputs[0].extent: step.inputs[0].channels})}
    area = step.window.kernel[0] * step.window.kernel[1]
    return {kind: Counter({step.out.extent: step.out.channels * area})}


def _elementwise(step: Step) -> Forms:
    """What it reads and writes."""
    moved: Counter[int] = Counter()
    for tensor in (step.out, *step.inputs):
        moved[tensor.extent] += tensor.channels
    return {f"{_ELEMENTS.get(step.op, 'arithmetic')}_element": moved}


def _packed(channels: int, pack: int) -> int:
    return -(-channels // pack) * pack


_FORMS: dict[str, Callable[[Step], Forms]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    **{op: _read for op, kind in _ELEMENTS.items() if kind not in ("copied", "shuffled")},
}
