"""A network's description as a ``torch.nn.Module``.

One generic builder for every family: a block's recorded layers become plain ``torch.nn`` leaves
under the layers' own dotted names (``blocks.3.expand`` is a ``Conv2d``), joined by ``operator.add``,
``operator.mul`` and ``torch.cat``. ``torch.fx.symbolic_trace`` sees nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from edgekit.errors import InputError, MissingExtraError

try:
    import torch
    from torch import nn
except ImportError as exc:
    raise MissingExtraError("torch", "torch", "building a network") from exc

from edgekit.models.layers import (
    INPUT,
    Activation,
    ActivationKind,
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Dropout,
    DropPath,
    Factor,
    Flatten,
    GlobalPool,
    Layer,
    Linear,
    MaxPool,
    Mean,
    Mul,
    Narrow,
    PadChannels,
    ResponseNorm,
    Shuffle,
)
from edgekit.models.leaves import (
    ConcatChannels,
    DropBranch,
    JoinPaths,
    Multiplied,
    NarrowChannels,
    Product,
    Sum,
    draw_column,
)
from edgekit.models.network import Network, PlacedBlock, Site, split_padding

__all__ = ["BlockModule", "NetworkModule", "assemble", "build", "initialize"]

_OBSERVED_IMAGES = 8
_OBSERVED_PIXELS = 64
_FEW_IMAGES = 2
_DEEP_NORMS = 30
_DEEP_SHIFT = 0.5

_ACTIVATIONS: dict[ActivationKind, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
    "sigmoid": nn.Sigmoid,
    "hardswish": nn.Hardswish,
    "hardsigmoid": nn.Hardsigmoid,
    "tanh": nn.Tanh,
}


def _pads(layer: Conv, site: Site) -> tuple[int, int, int, int]:
    """Zeros at the left, right, top and bottom."""
    if not layer.window.padded:
        return (layer.window.pad,) * 4
    height, width = site.sizes[layer.inputs[0].extent]
    padding = site.convention.padding
    rows = split_padding(padding, height, layer.kernel[0], layer.stride[0])
    columns = split_padding(padding, width, layer.kernel[1], layer.stride[1])
    return (*columns, *rows)


def _is_even(pads: tuple[int, int, int, int]) -> bool:
    left, right, top, bottom = pads
    return left == right and top == bottom


def _inner_padding(layer: Conv, site: Site) -> tuple[int, int]:
    """The (height, width) padding of the layer itself; uneven padding is a layer before it."""
    pads = _pads(layer, site)
    return (pads[2], pads[0]) if _is_even(pads) else (0, 0)


def _conv(layer: Conv, site: Site) -> nn.Module:
    return nn.Conv2d(
        layer.inputs[0].channels,
        layer.out.channels,
        layer.kernel,
        layer.stride,
        _inner_padding(layer, site),
        groups=layer.groups,
        bias=layer.bias,
    )


def _max_pool(layer: MaxPool, site: Site) -> nn.Module:
    window = layer.window
    return nn.MaxPool2d(window.kernel, window.stride, window.pad, ceil_mode=window.ceil)


def _avg_pool(layer: AvgPool, site: Site) -> nn.Module:
    window = layer.window
    return nn.AvgPool2d(
        window.kernel, window.stride, window.pad, window.ceil, count_include_pad=layer.counts_padding
    )


def _linear(layer: Linear, site: Site) -> nn.Module:
    return nn.Linear(site.shape(layer.inputs[0])[0], layer.out.channels)


def _pad_channels(layer: PadChannels, site: Site) -> nn.Module:
    return nn.ConstantPad3d((0, 0, 0, 0, 0, layer.out.channels - layer.inputs[0].channels), 0.0)


_LEAVES: dict[type[Layer], Callable[[Any, Site], nn.Module]] = {
    Conv: _conv,
    BatchNorm: lambda layer, site: nn.BatchNorm2d(layer.out.channels, site.convention.bn_eps),
    Activation: lambda layer, site: _ACTIVATIONS[layer.kind](),
    MaxPool: _max_pool,
    AvgPool: _avg_pool,
    GlobalPool: lambda layer, site: nn.AdaptiveAvgPool2d(1),
    ResponseNorm: lambda layer, site: nn.LocalResponseNorm(layer.size, layer.alpha, layer.beta, layer.k),
    Linear: _linear,
    Flatten: lambda layer, site: nn.Flatten(1),
    Dropout: lambda layer, site: nn.Dropout(layer.rate),
    DropPath: lambda layer, site: DropBranch(layer.rate),
    Add: lambda layer, site: Sum(),
    Mul: lambda layer, site: Product(),
    Mean: lambda layer, site: JoinPaths(layer.rate, len(layer.inputs)),
    Concat: lambda layer, site: ConcatChannels(),
    Factor: lambda layer, site: Multiplied(layer.value),
    Narrow: lambda layer, site: NarrowChannels(layer.start, layer.out.channels),
    PadChannels: _pad_channels,
    Shuffle: lambda layer, site: nn.ChannelShuffle(layer.groups),
}


def _attach(root: nn.Module, name: str, leaf: nn.Module) -> None:
    """Add ``leaf`` at a dotted name, with plain containers on the way."""
    *path, last = name.split(".")
    for part in path:
        if not hasattr(root, part):
            root.add_module(part, nn.Module())
        root = root.get_submodule(part)
    root.add_module(last, leaf)


class BlockModule(nn.Module):
    """One block: its leaves, and its layer list run in order."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self._layers = site.structure.layers
        self._padded = set[str]()
        for layer in self._layers:
            _attach(self, layer.out.name, _LEAVES[type(layer)](layer, site))
            if isinstance(layer, Conv) and not _is_even(pads := _pads(layer, site)):
                _attach(self, f"{layer.out.name}_pad", nn.ZeroPad2d(pads))
                self._padded.add(layer.out.name)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """NCHW float32 in and out; ``[N, features]`` after a flatten."""
        values = {INPUT: x}
        for layer in self._layers:
            x = self._run(layer.out.name, [values[tensor.name] for tensor in layer.inputs])
            values[layer.out.name] = x
        return x

    def _run(self, name: str, inputs: list[torch.Tensor]) -> torch.Tensor:
        if name in self._padded:
            inputs = [self.get_submodule(f"{name}_pad")(*inputs)]
        result: torch.Tensor = self.get_submodule(name)(*inputs)
        return result


class NetworkModule(nn.Module):
    """The blocks of a network in order: ``[N, C, H, W]`` float32 to ``[N, num_classes]`` logits.

    In training the answers of auxiliary classifiers follow the logits, as a tuple with them.
    """

    def __init__(self, blocks: Iterable[PlacedBlock]) -> None:
        super().__init__()
        self._names: list[str] = []
        self._aside = set[str]()
        for block in blocks:
            _attach(self, block.name, BlockModule(block.site))
            self._names.append(block.name)
            if block.aside:
                self._aside.add(block.name)

    def forward(self, image: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """The logits of a batch of preprocessed images."""
        joins = [leaf for leaf in self.modules() if isinstance(leaf, JoinPaths)] if self.training else []
        if joins:
            draw_column(joins)
        x, answers = image, []
        for name in self._names:
            if name not in self._aside:
                x = self.get_submodule(name)(x)
            elif self.training:
                answers.append(self.get_submodule(name)(x))
        return (x, *answers) if answers else x


def assemble(network: Network, *, training: bool = False) -> nn.Module:
    """The module's structure in evaluation mode, its tensors on the ``meta`` device: no values yet.

    With ``training`` it has the auxiliary classifiers, which an export has no use for.
    """
    with torch.device("meta"):
        return NetworkModule(network.blocks(training=training)).eval()


def build(network: Network, seed: int = 0, *, training: bool = False) -> nn.Module:
    """The module with random weights, in evaluation mode; equal seeds give equal weights.

    With ``training`` it has the auxiliary classifiers, whose answers follow the logits in training mode.
    """
    module = assemble(network, training=training)
    initialize(module, _observed_shape(network), seed)
    return module


def _observed_shape(network: Network) -> tuple[int, int, int]:
    """Small images where the network takes them and its weights do not depend on their size."""
    channels, height, width = network.input_shape
    if any(_reads_pixels(block) for block in network.blocks()):
        return network.input_shape
    for pixels in (_OBSERVED_PIXELS, 2 * _OBSERVED_PIXELS):
        with suppress(InputError):
            replace(network, scale=replace(network.scale, resolution=pixels))
            return (channels, min(height, pixels), min(width, pixels))
    return network.input_shape


def _reads_pixels(block: PlacedBlock) -> bool:
    return any(
        isinstance(layer, Linear) and block.site.sizes[layer.inputs[0].extent] != (1, 1)
        for layer in block.site.structure.layers
    )


def initialize(module: nn.Module, observed_shape: tuple[int, int, int], seed: int) -> None:
    """Fill ``module`` with seeded random weights whose activations stay of order 1 at any depth.

    Convolutions by He's rule (arXiv 1502.01852, fan-in). Batch norm gets spread-out gains and
    shifts, and as running statistics what it sees of seeded random images of ``observed_shape``: a
    network that is quantized or measured with random weights should have ranges like a trained one's.

    ReLU around zero loses a third of what tells images apart, and batch norm brings it back with the
    rounding errors: in a row of 55 such layers they reach 1e-4 of the logits. Deep networks without joins
    therefore have positive shifts, which leave more of it.
    """
    generator = torch.Generator().manual_seed(seed)
    _materialize(module)
    shift = _DEEP_SHIFT if _is_deep_and_plain(module) else 0.0
    with torch.no_grad():
        for leaf in module.modules():
            if isinstance(leaf, (nn.Conv2d, nn.Linear)):
                _fill_weights(leaf, generator)
            elif isinstance(leaf, nn.BatchNorm2d):
                leaf.reset_running_stats()
                leaf.weight.uniform_(0.5, 1.5, generator=generator)
                leaf.bias.normal_(shift, 0.1, generator=generator)
        _observe_statistics(module, observed_shape, generator)


def _is_deep_and_plain(module: nn.Module) -> bool:
    leaves = list(module.modules())
    norms = sum(isinstance(leaf, nn.BatchNorm2d) for leaf in leaves)
    return norms > _DEEP_NORMS and not any(
        isinstance(leaf, (Sum, ConcatChannels, JoinPaths)) for leaf in leaves
    )


def _materialize(module: nn.Module) -> None:
    """Give every tensor memory on the CPU. ``Module.to_empty`` does so too, but imports sympy: a second."""
    for leaf in module.modules():
        for name, parameter in leaf.named_parameters(recurse=False):
            setattr(leaf, name, nn.Parameter(torch.empty(tuple(parameter.shape))))
        for name, buffer in leaf.named_buffers(recurse=False):
            setattr(leaf, name, torch.empty(tuple(buffer.shape), dtype=buffer.dtype))


def _fill_weights(leaf: nn.Conv2d | nn.Linear, generator: torch.Generator) -> None:
    gain = 2.0 if isinstance(leaf, nn.Conv2d) else 1.0
    leaf.weight.normal_(0, (gain / leaf.weight[0].numel()) ** 0.5, generator=generator)
    if leaf.bias is not None:
        leaf.bias.normal_(0, 0.05, generator=generator)


def _observe_statistics(
    module: nn.Module, observed_shape: tuple[int, int, int], generator: torch.Generator
) -> None:
    norms = [leaf for leaf in module.modules() if isinstance(leaf, nn.BatchNorm2d)]
    if not norms:
        return
    momentum = norms[0].momentum
    for norm in norms:
        norm.train()
        norm.momentum = None  # the running statistics become exactly those of the one batch
    module(_random_images(observed_shape, generator))
    for norm in norms:
        norm.eval()
        norm.momentum = momentum
        assert norm.running_var is not None
        assert norm.num_batches_tracked is not None
        norm.num_batches_tracked.zero_()
        # Quiet channels share the mean: amplified to variance 1, they would blow up on any image
        # unlike the observed ones, and a deep network multiplies that layer by layer.
        norm.running_var.clamp_(min=float(norm.running_var.mean()))


def _random_images(shape: tuple[int, int, int], generator: torch.Generator) -> torch.Tensor:
    """[N, C, H, W] of noise in octaves, coarse ones stronger, each image of its own contrast and level."""
    channels, *size = shape
    few = max(size) > 2 * _OBSERVED_PIXELS
    number = _FEW_IMAGES if few else _OBSERVED_IMAGES
    images = torch.zeros(number, channels, *size)
    cells, amplitude = 4, 1.0
    while cells <= _OBSERVED_PIXELS:
        noise = torch.randn(number, channels, cells, cells, generator=generator)
        images += amplitude * nn.functional.interpolate(
            noise, size=size, mode="bilinear", align_corners=False
        )
        cells, amplitude = cells * 2, amplitude * 0.7
    contrast = 0.3 + 1.2 * torch.rand(number, 1, 1, 1, generator=generator)
    level = 0.7 * torch.randn(number, 1, 1, 1, generator=generator)
    return images / images.std() * contrast + level
