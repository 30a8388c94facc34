"""The work of a network told apart by what computes it, for a latency model of the machine at hand.

Published tables have a dozen rows for a device, which settle the few kinds of :mod:`edgekit.search.work`.
Where a profiler times every layer there are thousands, and each kind of kernel gets prices of its own: for
multiply-adds, for what it writes and for what it reads. Kernels work on packs of channels and on tiles of
matrices, so one that is not full costs as much as a full one; how large they are differs between processors,
so small and large ones both have a price. So does what a cache does not hold: weights until the next image,
tensors until the next layer, a depthwise filter until the next pixel, each beyond several counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from edgekit.models.deployed import Step, steps_of
from edgekit.models.network import Network, Structure

__all__ = [
    "LAYER_KINDS",
    "Block",
    "Bulk",
    "beyond",
    "block_of",
    "layer_amounts",
    "network_amounts",
    "step_amounts",
    "unkept",
]

_FOOTPRINT_BEYOND = tuple(1 << power for power in range(17, 25))
_OUTPUTS_BEYOND = (1 << 17, 1 << 19, 1 << 21)
_TRAFFIC_BEYOND = (1 << 16, 1 << 18, 1 << 20)
_FILTER_BEYOND = (4096, 6144, 8192, 16384, 32768)

_STEP_KINDS = (
    "pointwise_narrow_mac",
    "pointwise_mac",
    "pointwise_wide_mac",
    "pointwise_uneven_mac",
    "pointwise_odd_mac",
    "pointwise_spare_mac",
    "pointwise_tile",
    "pointwise_tap",
    "pointwise_output",
    "pointwise_input",
    "pointwise_pixel",
    "convolution_narrow_mac",
    "convolution_mac",
    "convolution_wide_mac",
    "convolution_uneven_mac",
    "convolution_odd_mac",
    "convolution_spare_mac",
    "convolution_tile",
    "convolution_tap",
    "convolution_output",
    "convolution_input",
    "convolution_pixel",
    "convolution_column",
    "depthwise_narrow_mac",
    "depthwise_mac",
    "depthwise_wide_mac",
    "depthwise_odd_mac",
    "depthwise_output",
    "depthwise_input",
    *(f"depthwise_mac_beyond_{count}" for count in _FILTER_BEYOND),
    "grouped_mac",
    "grouped_output",
    "linear_weight",
    "weight",
    "gate_element",
    "hard_gate_element",
    "gated_element",
    "rescaled_element",
    "normalized_element",
    "arithmetic_element",
    "copied_element",
    "padded_element",
    "padded_pixel",
    "shuffled_element",
    "mean_element",
    "maximum_element",
    "average_element",
    *(f"convolution_traffic_beyond_{count}" for count in _TRAFFIC_BEYOND),
    *(f"traffic_beyond_{count}" for count in _TRAFFIC_BEYOND),
    "operator",
)
LAYER_KINDS = (
    *_STEP_KINDS,
    *(f"weight_beyond_{count}" for count in _FOOTPRINT_BEYOND),
    *(f"wide_mac_beyond_{count}" for count in _FOOTPRINT_BEYOND),
    *(f"depthwise_mac_of_outputs_beyond_{count}" for count in _OUTPUTS_BEYOND),
)
"""What a network is charged for. ``pointwise`` are 1×1 convolutions, ``convolution`` other full ones,
``grouped`` those of several groups that are not depthwise. ``mac`` fills packs of 16 channels, ``wide_mac``
of 32, ``uneven_mac`` is of the latter where one pack is not full, ``odd_mac`` where one of 8 is not;
``narrow_mac`` fills packs of 8 channels, read ones as well, as int8 does on AVX2. ``spare_mac`` is what tiles
of seven pixels compute beyond the last, ``tile`` blocks of 64 by 64 channels, ``tap`` packs of 64, for each
place of the window; ``column`` is each number that a window of a convolution gathers,
``depthwise_mac_beyond`` multiply-adds with a filter of more weights than that.

``linear_weight`` is each weight of a fully connected layer, ``weight`` each of a convolution. Of all weights,
and of what full convolutions multiply, ``weight_beyond`` and ``wide_mac_beyond`` take the part by which the
network's weights and outputs are beyond a count, ``depthwise_mac_of_outputs_beyond`` of what depthwise ones
multiply that by which its outputs are.

``gate`` are sigmoid and its kin, ``hard_gate`` what is made of clamps, ``gated`` their product with what they
gate, ``rescaled`` one with a number for each channel, ``normalized`` a batch norm behind no convolution.
Elements of ``maximum`` and ``average`` are what a pool reads, as often as windows overlap, of ``mean`` what a
global one reads; ``padded_element`` and ``padded_pixel`` are put into a wider frame before a pool;
``traffic_beyond`` is what a layer reads and writes beyond a count."""

_NARROW_PACK, _PACK, _WIDE_PACK, _TILE, _INPUT_PACK, _ROWS = 8, 16, 32, 64, 4, 7
_ELEMENTS = {
    **dict.fromkeys(("Sigmoid", "Tanh", "LRN"), "gate"),
    **dict.fromkeys(("HardSwish", "HardSigmoid"), "hard_gate"),
    **dict.fromkeys(("Concat", "Slice", "Pad"), "copied"),
    "Transpose": "shuffled",
    "GlobalAveragePool": "mean",
    "MaxPool": "maximum",
    "AveragePool": "average",
}

Areas = tuple[int, ...]
Amounts = dict[str, float]
Shares = tuple[list[float], list[float]]


class Bulk(NamedTuple):
    """What caches may be too small for: weights, multiply-adds by the kind of convolution, and outputs."""

    weights: float
    full_macs: float
    depthwise_macs: float
    outputs: float


class Block(NamedTuple):
    """A block's amounts of all kinds but what is beyond the caches, and what may be."""

    amounts: tuple[float, ...]
    bulk: Bulk


@lru_cache(maxsize=1 << 16)
def block_of(structure: Structure, areas: Areas) -> Block:
    """The work of a block at a place where its extents have these areas."""
    return _block(steps_of(structure), areas)


def network_amounts(network: Network) -> tuple[float, ...]:
    """How much of each of ``LAYER_KINDS`` one image takes."""
    return tuple(map(sum, zip(*layer_amounts(network), strict=True)))


def layer_amounts(network: Network) -> list[tuple[float, ...]]:
    """The same of each layer, in the cost model's order; all together are the network's."""
    layers = [
        _block([step], run.site.areas)
        for run in network.runs
        for _ in range(run.repeat)
        for step in steps_of(run.site.structure)
    ]
    shares = unkept(Bulk(*map(sum, zip(*(layer.bulk for layer in layers), strict=True))))
    return [(*layer.amounts, *beyond(layer.bulk, shares)) for layer in layers]


def unkept(whole: Bulk) -> Shares:
    """For each count beyond which kinds go, what part of a network a cache of that size does not hold.

    Of its weights and outputs, and of its outputs alone.
    """
    return _beyond(whole.weights + whole.outputs, _FOOTPRINT_BEYOND), _beyond(whole.outputs, _OUTPUTS_BEYOND)


def _beyond(amount: float, counts: Iterable[int]) -> list[float]:
    return [max(0.0, 1 - count / amount) if amount else 0.0 for count in counts]


def beyond(part: Bulk, shares: Shares) -> list[float]:
    """The last of ``LAYER_KINDS``, of a part of a network of which these shares are not kept."""
    of_all, of_outputs = shares
    return [
        *[part.weights * share for share in of_all],
        *[part.full_macs * share for share in of_all],
        *[part.depthwise_macs * share for share in of_outputs],
    ]


def _block(steps: Iterable[Step], areas: Sequence[int]) -> Block:
    amounts: defaultdict[str, float] = defaultdict(float)
    weights = outputs = 0.0
    for step in steps:
        for kind, amount in step_amounts(step, areas).items():
            amounts[kind] += amount
        weights += _weights(step, areas)
        outputs += step.out.channels * areas[step.out.extent]
    full_macs = amounts["pointwise_wide_mac"] + amounts["convolution_wide_mac"]
    return Block(
        tuple(amounts[kind] for kind in _STEP_KINDS),
        Bulk(weights, full_macs, amounts["depthwise_mac"], outputs),
    )


def step_amounts(step: Step, areas: Sequence[int]) -> Amounts:
    """The amounts of one layer, of the kinds that it has."""
    amounts = _AMOUNTS.get(step.op, _elementwise)(step, areas)
    traffic, moved = "convolution_traffic" if step.op == "Conv" else "traffic", _moved(step, areas)
    more = {f"{traffic}_beyond_{count}": max(moved - count, 0.0) for count in _TRAFFIC_BEYOND}
    return {**amounts, **more, "operator": 1.0}


def _weights(step: Step, areas: Sequence[int]) -> float:
    return float(step.weights * areas[step.weights_extent])


def _conv(step: Step, areas: Sequence[int]) -> Amounts:
    if step.products == step.inputs[0].channels * _taps(step):
        amounts = _full(step, areas)
    elif step.products > _taps(step):
        amounts = _grouped(step, areas)
    else:
        amounts = _depthwise(step, areas) if _taps(step) > 1 else _normalized(step, areas)
    return {"weight": _weights(step, areas), **amounts}


def _full(step: Step, areas: Sequence[int]) -> Amounts:
    pixels, products = areas[step.out.extent], _packed(step.products, _INPUT_PACK)
    outputs = _packed(step.out.channels, _PACK) * pixels
    # At each place of the window, channels fill packs of their own: of an image, three of eight.
    narrow_products = _taps(step) * _packed(step.inputs[0].channels, _NARROW_PACK)
    narrow = _packed(step.out.channels, _NARROW_PACK) * narrow_products
    wide_pack = _packed(step.out.channels, _WIDE_PACK if step.out.channels > _PACK else _PACK)
    wide = wide_pack * pixels
    taps = _packed(step.out.channels, _TILE) * _taps(step) * pixels
    amounts = {
        "narrow_mac": float(narrow * pixels),
        "mac": float(outputs * products),
        "wide_mac": float(wide * products),
        "spare_mac": float(wide_pack * (_packed(pixels, _ROWS) - pixels) * products),
        "uneven_mac": float(wide * products) if step.out.channels % _WIDE_PACK else 0.0,
        "odd_mac": float(wide * products) if step.out.channels % _NARROW_PACK else 0.0,
        "tile": float(taps * _packed(step.inputs[0].channels, _TILE)),
        "tap": float(taps),
        "output": float(outputs),
        "input": _read_once(step, areas),
        "pixel": float(pixels),
    }
    if _taps(step) == 1:
        return {f"pointwise_{name}": amount for name, amount in amounts.items()}
    amounts["column"] = float(step.products * pixels)
    return {f"convolution_{name}": amount for name, amount in amounts.items()}


def _grouped(step: Step, areas: Sequence[int]) -> Amounts:
    outputs = _packed(step.out.channels, _PACK) * areas[step.out.extent]
    macs = outputs * _packed(step.products, _INPUT_PACK)
    return {"grouped_mac": float(macs), "grouped_output": float(outputs)}


def _depthwise(step: Step, areas: Sequence[int]) -> Amounts:
    pixels, filters = areas[step.out.extent], step.out.channels * step.products
    narrow, outputs, wide = (
        _packed(step.out.channels, pack) * pixels for pack in (_NARROW_PACK, _PACK, _WIDE_PACK)
    )
    return {
        "depthwise_narrow_mac": float(narrow * step.products),
        "depthwise_mac": float(outputs * step.products),
        "depthwise_wide_mac": float(wide * step.products),
        "depthwise_odd_mac": float(outputs * step.products) if step.out.channels % _NARROW_PACK else 0.0,
        "depthwise_output": float(outputs),
        "depthwise_input": _read_once(step, areas),
        **{
            f"depthwise_mac_beyond_{count}": float(filters * pixels)
            for count in _FILTER_BEYOND
            if filters > count
        },
    }


def _normalized(step: Step, areas: Sequence[int]) -> Amounts:
    return {"normalized_element": float(step.out.channels * areas[step.out.extent])}


def _gemm(step: Step, areas: Sequence[int]) -> Amounts:
    return {"linear_weight": _weights(step, areas)}


def _read(step: Step, areas: Sequence[int]) -> Amounts:
    """What it reads once, or, under a window that slides, as often as one holds it."""
    kind, read = f"{_ELEMENTS[step.op]}_element", _read_once(step, areas)
    if step.window is None:
        return {kind: read}
    # Where no window strides, kernels pad as they read; else an operator of its own does.
    is_padded = step.window.pad and max(step.window.stride) > 1
    pixels = float(areas[step.inputs[0].extent])
    padded = {"padded_element": read, "padded_pixel": pixels} if is_padded else {}
    return {kind: float(step.out.channels * areas[step.out.extent] * _taps(step)), **padded}


def _product(step: Step, areas: Sequence[int]) -> Amounts:
    kind = "gated" if len({areas[tensor.extent] for tensor in step.inputs}) == 1 else "rescaled"
    return {f"{kind}_element": _moved(step, areas)}


def _elementwise(step: Step, areas: Sequence[int]) -> Amounts:
    return {f"{_ELEMENTS.get(step.op, 'arithmetic')}_element": _moved(step, areas)}


def _moved(step: Step, areas: Sequence[int]) -> float:
    """What it reads and writes."""
    return float(sum(tensor.channels * areas[tensor.extent] for tensor in (step.out, *step.inputs)))


def _read_once(step: Step, areas: Sequence[int]) -> float:
    """Numbers of its first input."""
    source = step.inputs[0]
    return float(source.channels * areas[source.extent])


def _taps(step: Step) -> int:
    """Places of its window."""
    return step.window.kernel[0] * step.window.kernel[1] if step.window else 1


def _packed(channels: int, pack: int) -> int:
    return -(-channels // pack) * pack


_AMOUNTS: dict[str, Callable[[Step, Sequence[int]], Amounts]] = {
    "Conv": _conv,
    "Gemm": _gemm,
    "Mul": _product,
    **{op: _read for op, kind in _ELEMENTS.items() if kind not in ("copied", "shuffled")},
}
