"""Which layer of one file is which layer of another, though each tool names and merges them its own way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from edgekit.runtimes.layers import FileLayer

__all__ = ["Basis", "Match", "likeness", "match_by_values", "match_layers"]

FloatArray = npt.NDArray[np.float32]
Basis = Literal["name", "weights", "structure", "values"]

_LEAST_LIKENESS = 0.8  # of weights: int8 ones of the same layer reach 0.99, those of another about 0
_LEAST_NAMED_LIKENESS = 0.5  # equalization, which changes rows too, is no reason to doubt a name
_LEAST_CORRELATION = 0.9


@dataclass(frozen=True)
class Match:
    """Layers of the reference and of the file, by index, and what told that they are the same."""

    reference: int
    test: int
    basis: Basis


def match_layers(reference: Sequence[FileLayer], test: Sequence[FileLayer]) -> list[Match]:
    """Match by name, then weighted layers by their weights, then the others by what leads to them.

    Weights survive whatever quantization does to the activations, so a layer whose output is wrong is
    still found. The network's order settles which of several is meant.
    """
    matches = _by_name(reference, test)
    matches += _by_weights(reference, test, matches)
    matches += _by_structure(reference, test, matches)
    return sorted(matches, key=lambda match: match.reference)


def match_by_values(
    reference: Mapping[int, FloatArray], test: Mapping[int, FloatArray], taken: Sequence[Match]
) -> list[Match]:
    """Match what is left by the correlation of its numbers on one image, by index; the best pairs first."""
    used_reference, used_test = {one.reference for one in taken}, {one.test for one in taken}
    candidates = [
        (_correlation(expected, actual), i, j)
        for i, expected in reference.items()
        for j, actual in test.items()
        if i not in used_reference and j not in used_test and expected.size == actual.size
    ]
    matches: list[Match] = []
    for correlation, i, j in sorted(candidates, reverse=True):
        if correlation >= _LEAST_CORRELATION and i not in used_reference and j not in used_test:
            matches.append(Match(i, j, "values"))
            used_reference.add(i)
            used_test.add(j)
    return matches


def _by_name(reference: Sequence[FileLayer], test: Sequence[FileLayer]) -> list[Match]:
    named = {name: i for i, layer in reversed(list(enumerate(reference))) for name in layer.names}
    matches: list[Match] = []
    used: set[int] = set()
    for j, layer in enumerate(test):
        found = (named[name] for name in layer.names if name in named)
        i = next((i for i in found if i not in used and _is_alike(reference[i], layer)), None)
        if i is not None:
            used.add(i)
            matches.append(Match(i, j, "name"))
    return matches


def _is_alike(one: FileLayer, other: FileLayer) -> bool:
    if one.weight is None or other.weight is None:
        return one.op == other.op
    if one.weight.shape != other.weight.shape:
        return False
    return likeness(one.weight, other.weight) >= _LEAST_NAMED_LIKENESS


def _by_weights(
    reference: Sequence[FileLayer], test: Sequence[FileLayer], taken: Sequence[Match]
) -> list[Match]:
    used = {match.reference for match in taken}
    done = {match.test for match in taken}
    matches: list[Match] = []
    for j, layer in enumerate(test):
        if layer.weight is None or j in done:
            continue
        candidates = [
            (likeness(one.weight, layer.weight), -i)
            for i, one in enumerate(reference)
            if one.weight is not None and i not in used and one.weight.shape == layer.weight.shape
        ]
        best, index = max(candidates, default=(0.0, 0))
        if best >= _LEAST_LIKENESS:
            used.add(-index)
            matches.append(Match(-index, j, "weights"))
    return matches


def likeness(one: FloatArray, other: FloatArray) -> float:
    """Mean cosine of the rows of two weights, which no scaling of channels at the output changes."""
    rows, others = one.reshape(len(one), -1), other.reshape(len(other), -1)
    lengths = np.linalg.norm(rows, axis=1) * np.linalg.norm(others, axis=1)
    products = (rows * others).sum(1)
    return float(np.where(lengths > 0, products / np.where(lengths > 0, lengths, 1), 1.0).mean())


def _by_structure(
    reference: Sequence[FileLayer], test: Sequence[FileLayer], taken: Sequence[Match]
) -> list[Match]:
    """Layers without weights: the same operator behind the same weighted layers."""
    names = {match.reference: match.reference for match in taken}
    places = _places(reference, names, {match.reference for match in taken})
    others = _places(test, {match.test: match.reference for match in taken}, {match.test for match in taken})
    matches: list[Match] = []
    for key, found in others.items():
        known = places.get(key, [])
        if len(known) == len(found):
            matches += [Match(i, j, "structure") for i, j in zip(known, found, strict=True)]
    return matches


def _places(
    layers: Sequence[FileLayer], names: Mapping[int, int], done: set[int]
) -> dict[tuple[str, frozenset[int]], list[int]]:
    """(operator, the matched weighted layers before it) → the layers in that place."""
    before: list[frozenset[int]] = []
    places: dict[tuple[str, frozenset[int]], list[int]] = defaultdict(list)
    for i, layer in enumerate(layers):
        found = frozenset[int]().union(*(before[index] for index in layer.inputs if index >= 0))
        if layer.weight is None and i not in done:
            places[layer.op, found].append(i)
        before.append(found | {names[i]} if layer.weight is not None and i in names else found)
    return places


def _correlation(one: FloatArray, other: FloatArray) -> float:
    a, b = one.ravel() - one.mean(), other.ravel() - other.mean()
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths else 0.0
