"""The closed form against the lecture's example, and against counting on the torch module's trace."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass

import pytest
import torch
from torch import fx, nn

from edgekit.models import zoo
from edgekit.models.blocks import ConvBlock
from edgekit.models.cost import cost
from edgekit.models.module import assemble
from edgekit.models.network import Network, Unit
from edgekit.models.scale import Scale
from edgekit.options import PRECISIONS, Precision
from small_networks import SMALLEST, representatives


def at(resolution: int) -> dict[str, float]:
    return {"resolution": resolution}


VARIANTS: list[tuple[str, dict[str, float]]] = [
    *((name, at(max(64, SMALLEST.get(name, 17)))) for name in representatives()),
    ("mobilenet_v1", {"width": 0.25, "depth": 2.0, "resolution": 49}),
    ("mobilenet_v2", {"width": 1.4, "num_classes": 7, "resolution": 130}),
    ("efficientnet_b0", {"width": 0.3, "depth": 0.5, "in_channels": 1, "resolution": 33}),
    ("efficientnet_lite0", {"width": 2.0, "depth": 0.3, "resolution": 75}),
    ("squeezenet1_0", {"width": 0.5, "depth": 3.0, "resolution": 57}),
    ("squeezenet1_1", {"width": 1.7, "in_channels": 4, "resolution": 101}),
]


def variant(name: str, scale: dict[str, float]) -> Network:
    return zoo.network(name, **scale)  # type: ignore[arg-type]  # resolutions and counts are whole


@dataclass
class Counted:
    """What a walk over the traced module finds."""

    macs: int = 0
    weights: int = 0
    biases: int = 0
    peak_elements: int = 0
    shapes: list[tuple[int, ...]] | None = None


ABSENT = (nn.Dropout, nn.Flatten, nn.ZeroPad2d)
CLAMPS = (nn.ReLU, nn.ReLU6)


def is_fused(node: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Whether the node is a part of the layer before it, by what the module before it is."""
    leaf = modules[str(node.target)] if node.op == "call_module" else None
    before = node.all_input_nodes[0]
    layer = modules.get(str(before.target)) if before.op == "call_module" else None
    if isinstance(leaf, nn.BatchNorm2d) or (node.target is operator.mul and not is_product(node)):
        return isinstance(layer, nn.Conv2d) and len(before.users) == 1
    return isinstance(leaf, ABSENT) or (isinstance(leaf, CLAMPS) and len(before.users) == 1)


def is_product(node: fx.Node) -> bool:
    """Of two tensors, not with a constant."""
    return node.target is operator.mul and len(node.all_input_nodes) == 2


class Shapes(fx.Interpreter):
    """Runs a trace on the meta device and keeps every node's shape."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.shapes: dict[fx.Node, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> object:
        result = super().run_node(n)
        if isinstance(result, torch.Tensor):
            self.shapes[n] = tuple(result.shape)
        return result


def count(network: Network) -> Counted:
    """By brute force: run the trace, then keep a set of live tensors while walking it."""
    traced = fx.symbolic_trace(assemble(network))
    shapes = Shapes(traced)
    shapes.run(torch.empty(1, *network.input_shape, device="meta"))
    modules = dict(traced.named_modules())
    result = Counted(shapes=[])
    # One entry for each tensor made: (its name, what it reads, its elements).
    made: list[tuple[str, list[str], int]] = []
    tensor: dict[fx.Node, str] = {}
    for node in traced.graph.nodes:
        if node.op == "placeholder":
            tensor[node] = node.name
            continue
        if node.op == "output":
            continue
        leaf = modules[node.target] if node.op == "call_module" else None
        reads = [tensor[other] for other in node.all_input_nodes]
        if is_fused(node, modules):
            tensor[node] = reads[0]
            continue
        assert leaf is not None or node.target in (operator.add, operator.mul, torch.cat, torch.narrow)
        shape = shapes.shapes[node]
        if isinstance(leaf, nn.ChannelShuffle):
            shape = (1, shape[1] // leaf.groups, leaf.groups, *shape[2:])
        size, outputs = math.prod(shapes.shapes[node]), [node.name]
        if isinstance(leaf, nn.SiLU):
            made.append((f"{node.name}.gate", reads, size))
            reads, outputs = [*reads, f"{node.name}.gate"], [node.name, node.name]
        made.append((node.name, reads, size))
        tensor[node] = node.name
        assert result.shapes is not None
        result.shapes.extend([shape] * len(outputs))
        if isinstance(leaf, nn.BatchNorm2d):
            result.weights += shape[1]
            result.biases += shape[1]
            result.macs += size
        if isinstance(leaf, nn.Conv2d | nn.Linear):
            result.weights += leaf.weight.numel()
            result.biases += leaf.weight.shape[0]
            result.macs += size * leaf.weight[0].numel()
    result.peak_elements = peak(made, math.prod(network.input_shape))
    return result


def peak(made: list[tuple[str, list[str], int]], input_elements: int) -> int:
    sizes = {"image": input_elements} | {name: size for name, _, size in made}
    largest = 0
    for index, (name, reads, _) in enumerate(made):
        later = {other for _, more, _ in made[index + 1 :] for other in more}
        before = {"image", *(other for other, _, _ in made[:index])}
        alive = {name, *reads, *(later & before)}
        largest = max(largest, sum(sizes[each] for each in alive))
    return largest


@pytest.mark.parametrize(("name", "scale"), VARIANTS)
def test_the_closed_form_is_what_counting_finds(name: str, scale: dict[str, float]) -> None:
    network = variant(name, scale)
    found, counted = cost(network), count(network)
    assert found.macs == counted.macs
    assert found.weight_bytes == 4 * (counted.weights + counted.biases)
    assert found.peak_activation_bytes == 4 * counted.peak_elements
    assert [row.output_shape for row in found.layers()] == counted.shapes
    assert found.params == sum(tensor.numel() for tensor in assemble(network).parameters())


@pytest.mark.parametrize(("name", "scale"), VARIANTS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_totals_are_the_sums_of_the_rows(name: str, scale: dict[str, float], precision: Precision) -> None:
    found = cost(variant(name, scale), precision)
    rows = found.layers()
    weight, bias = {"fp32": (4, 4), "fp16": (2, 2), "int16": (1, 8)}.get(precision, (1, 4))
    assert found.macs == sum(row.macs for row in rows)
    assert found.params == sum(row.params for row in rows)
    assert found.weight_bytes == sum(weight * row.weights + bias * row.biases for row in rows)
    assert found.peak_activation_bytes > max(row.activation_bytes for row in rows)
    assert found.activation_bytes == sum(row.activation_bytes for row in rows)
    assert len({row.name for row in rows}) == len(rows)


def test_int8_activations_take_a_byte_and_others_four() -> None:
    network = zoo.network("mobilenet_v2", width=0.5, resolution=96)
    peaks = {precision: cost(network, precision).peak_activation_bytes for precision in PRECISIONS}
    assert peaks["fp32"] == peaks["fp16"] == peaks["dynamic"] == peaks["weight-only"] == 4 * peaks["int8"]
    assert peaks["int16"] == 2 * peaks["int8"]


def test_alexnets_first_layer() -> None:
    """CS231n's table: 64 × 56 × 56, 784 KB, 23,296 parameters, 72.9 M multiply-adds.

    227 pixels with two of padding on either side are 231.
    """
    block = ConvBlock(64, kernel=11, stride=4, activation="relu", norm=False, padded=False)
    network = Network("conv1", "alexnet", Scale(resolution=231), (Unit("stem", block),))
    (row,) = cost(network).layers()
    assert row.output_shape == (1, 64, 56, 56)
    assert row.activation_bytes == 784 * 1024
    assert row.params == 23_296
    assert round(row.macs / 1e6, 1) == 72.9


def test_mobilenet_v2_is_largest_in_its_first_strided_block() -> None:
    """blocks.1.depthwise reads 96 × 112 × 112 and makes 96 × 56 × 56."""
    assert cost(zoo.network("mobilenet_v2")).peak_activation_bytes == 4 * 96 * (112 * 112 + 56 * 56)
