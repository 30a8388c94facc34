"""Networks of the zoo small enough for tests, each at what it can be built at."""

from __future__ import annotations

from functools import cache

from edgekit.models import zoo
from edgekit.models.layers import Activation, AvgPool, Conv, Layer, MaxPool
from edgekit.models.network import Network
from edgekit.options import Scale

__all__ = ["SMALLEST", "representatives", "small", "tiny"]

SMALLEST = {
    # torchvision's min_size.
    "squeezenet1_0": 21,
    "squeezenet1_0_bypass": 21,
    "alexnet": 63,
    "alexnet_two_towers": 63,
    "inception_v3": 75,
    "se_inception_v3": 75,
    "densenet121": 29,
    "densenet169": 29,
    "densenet201": 29,
    **{f"vgg{layers}{norm}": 32 for layers in (11, 13, 16, 19) for norm in ("", "_bn")},
    # By hand: from the last window back to the image.
    "googlenet": 31,
    "se_googlenet": 31,
    "inception_v4": 75,
    "inception_resnet_v2": 75,
    "xception": 23,
    "nin": 67,
    "zfnet": 53,
    "fractalnet20": 32,
    "lenet5": 16,
    "lenet5_28": 12,
    "cifar_plain20": 3,
    "cifar_plain56": 3,
    "cifar_resnet20": 3,
    "cifar_resnet56": 3,
    "cifar_resnet110_stochastic_depth": 3,
    "wrn28_10": 3,
}
"""Smallest resolution; where five halvings alone limit, it is 17, torchvision's for squeezenet1_1."""


def small(
    name: str,
    *,
    width: float = 1.0,
    depth: float = 1.0,
    resolution: int = 64,
    num_classes: int = 1000,
    in_channels: int = 3,
) -> Network:
    """A network at a scale, but no smaller than it can be, and of its own depth if that is the only one."""
    own = zoo.default_scale(name)
    scale = Scale(
        width,
        depth if zoo.entry(name).has_depth else own.depth,
        max(resolution, SMALLEST.get(name, 17)),
        num_classes,
        in_channels,
    )
    return zoo.network(name, scale)


def tiny(name: str) -> Network:
    """A network that keeps its shape and hardly anything else."""
    # Stages of fewer channels than 8 would round to equal ones, and no shortcut would have to pad.
    width = 0.5 if name.startswith("cifar") else 0.125
    return small(name, width=width, depth=0.34, resolution=33, num_classes=7)


@cache
def representatives() -> tuple[str, ...]:
    """Names whose networks differ in more than widths and how often blocks repeat: one of each table."""
    found: dict[object, str] = {}
    for name in zoo.names():
        network = small(name, width=0.125, depth=0.01, resolution=33, num_classes=7)
        layers = tuple(_shape(layer) for block in network.blocks() for layer in block.site.structure.layers)
        found.setdefault((layers, network.convention), name)
    return tuple(found.values())


def _shape(layer: Layer) -> tuple[object, ...]:
    """What kind of layer it is, without its channels."""
    fields = [type(layer).__name__, len(layer.inputs)]
    if isinstance(layer, Conv):
        return (*fields, layer.window, layer.groups > 1, layer.bias)
    if isinstance(layer, MaxPool | AvgPool):
        return (*fields, layer.window)
    return (*fields, layer.kind) if isinstance(layer, Activation) else tuple(fields)
