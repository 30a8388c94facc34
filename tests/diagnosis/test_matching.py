"""Finding the layers of one network in a file that another tool wrote."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgekit.diagnosis.matching import likeness, match_by_values, match_layers
from edgekit.runtimes.layers import FileLayer

FloatArray = npt.NDArray[np.float32]
RANDOM = np.random.default_rng(0)


def weights(*shape: int) -> FloatArray:
    return RANDOM.standard_normal(shape).astype(np.float32)


def conv(name: str, weight: FloatArray, *inputs: int) -> FileLayer:
    return FileLayer((name,), "Conv", inputs, f"{name}_out", "in", weight)


def other(name: str, op: str, *inputs: int) -> FileLayer:
    return FileLayer((name,), op, inputs, f"{name}_out")


def rounded(weight: FloatArray) -> FloatArray:
    step = np.abs(weight).max() / 127
    nearest: FloatArray = np.rint(weight / step) * step
    return nearest


def network() -> list[FileLayer]:
    first, second, third = weights(8, 3, 3, 3), weights(8, 8, 1, 1), weights(8, 8, 1, 1)
    return [
        conv("stem", first, -1),
        conv("left", second, 0),
        conv("right", third, 0),
        other("add", "Add", 1, 2),
        other("pool", "AveragePool", 3),
    ]


def renamed(layers: list[FileLayer], order: list[int]) -> list[FileLayer]:
    """The network as another tool would write it: other names, another order, int8 weights."""
    place = {old: new for new, old in enumerate(order)} | {-1: -1}
    return [
        FileLayer(
            (f"t{old}",),
            layers[old].op,
            tuple(place[index] for index in layers[old].inputs),
            f"t{old}",
            layers[old].source,
            None if (weight := layers[old].weight) is None else rounded(weight),
        )
        for old in order
    ]


def test_our_own_names_are_enough() -> None:
    layers = network()
    matches = match_layers(layers, layers)
    assert [(one.reference, one.test, one.basis) for one in matches] == [(i, i, "name") for i in range(5)]


def test_branches_of_one_shape_are_told_apart_by_their_weights() -> None:
    layers = network()
    order = [0, 2, 1, 3, 4]
    matches = match_layers(layers, renamed(layers, order))
    assert {one.reference: order[one.test] for one in matches} == {i: i for i in range(5)}
    assert [one.basis for one in matches] == ["weights"] * 3 + ["structure"] * 2


def test_a_layer_with_other_weights_is_not_taken_for_it() -> None:
    layers = network()
    test = renamed(layers, [0, 1, 2, 3, 4])
    test[1] = conv("t1", weights(8, 8, 1, 1), 0)
    assert 1 not in {one.reference for one in match_layers(layers, test)}


def test_likeness_ignores_the_scale_of_output_channels() -> None:
    weight = weights(4, 3, 3, 3)
    scaled = weight * np.asarray([0.1, 1, 10, 3], np.float32).reshape(4, 1, 1, 1)
    assert np.isclose(likeness(weight, scaled), 1)
    assert abs(likeness(weight, weights(4, 3, 3, 3))) < 0.5
    assert likeness(np.zeros_like(weight), weight) == 1


def test_what_is_left_is_matched_by_its_numbers() -> None:
    one, two = weights(1, 4, 5, 5), weights(1, 4, 5, 5)
    noisy = {7: two + 0.05 * weights(1, 4, 5, 5), 8: one.copy(), 9: weights(1, 4, 5, 5)}
    matches = match_by_values({0: one, 1: two, 2: weights(1, 3)}, noisy, [])
    assert {(match.reference, match.test) for match in matches} == {(0, 8), (1, 7)}
