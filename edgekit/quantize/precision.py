"""Which layer computes in what: layers chosen by name, and those that follow from them.

A plan says for each layer int8, int16 activations or float. Between layers of one precision nothing
stands; where an integer layer reads a float value, or one of another width, a pair of parameters does.
So a float island is as large as the layers that touch.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from edgekit.errors import UnknownNameError
from edgekit.quantize.contract import WIDE
from edgekit.quantize.plan import Layer, LayerPrecision, Plan, with_layers

__all__ = ["match_layers", "with_precisions"]


def match_layers(names: Sequence[str], patterns: Iterable[str]) -> tuple[str, ...]:
    """Those of a network's layers that any of the patterns (``*``, ``?``, ``[…]``) matches, in order.

    Raises :class:`UnknownNameError`, with the nearest names, for a pattern that matches none.
    """
    found: set[str] = set()
    for pattern in patterns:
        matches = fnmatch.filter(names, pattern)
        if not matches:
            raise UnknownNameError("layer", pattern, names)
        found.update(matches)
    return tuple(name for name in names if name in found)


def with_precisions(plan: Plan, chosen: Mapping[str, LayerPrecision]) -> Plan:
    """The plan with the precision of the layers in ``chosen``, and of those they enclose.

    What has no int16 kernel stays float where int16 is chosen.

    Layers without weights that have only layers of one other precision around them take it: a pooling
    between two float convolutions would only be rounded on the way. Raises :class:`UnknownNameError` for
    a name that is no layer's.
    """
    names = {layer.name for layer in plan.layers}
    for name in chosen:
        if name not in names:
            raise UnknownNameError("layer", name, names)
    layers = [_with(layer, chosen) for layer in plan.layers]
    plan = with_layers(plan, layers)
    precisions = dict(chosen)
    for island in _light_islands(plan, chosen):
        around = _around(plan, island)
        if len(around) == 1 and around != {"int8"}:
            precisions.update(dict.fromkeys((layer.name for layer in island), around.pop()))
    return with_layers(plan, [_with(layer, precisions) for layer in layers])


def _with(layer: Layer, chosen: Mapping[str, LayerPrecision]) -> Layer:
    precision = chosen.get(layer.name, layer.precision)
    return replace(
        layer, precision="float" if precision == "int16" and layer.op_type not in WIDE else precision
    )


def _light_islands(plan: Plan, chosen: Mapping[str, LayerPrecision]) -> list[list[Layer]]:
    """Connected int8 layers without weights, whose precision nobody chose."""
    island_of: dict[str, list[Layer]] = {}  # by the value that a layer makes
    for layer in plan.layers:
        if layer.is_weighted or layer.precision != "int8" or layer.name in chosen:
            continue
        island = [layer]
        for other in {id(i): i for name in layer.inputs if (i := island_of.get(name)) is not None}.values():
            island = other + island
        for member in island:
            island_of[member.output] = island
    return list({id(island): island for island in island_of.values()}.values())


def _around(plan: Plan, island: Sequence[Layer]) -> set[LayerPrecision]:
    """Precisions of what an island reads and of what reads it; the graph's ends are int8."""
    inside = {layer.name for layer in island}
    made = {layer.output for layer in island}
    given = {name for layer in island for name in layer.inputs} - made
    found = {plan.precisions[name] for name in given}
    found |= {one.precision for one in plan.layers if one.name not in inside and made & set(one.inputs)}
    return found | ({"int8"} if plan.output in made else set())
