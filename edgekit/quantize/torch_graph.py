"""Canonical layers as differentiable torch operations: the only module of the quantizer that knows torch.

A :class:`Segment` is a stretch of a plan's layers from one value to another. It runs in fp32, and with
integers in the loop: weights are rounded from learnable numbers and activations to learnable steps, while
gradients pass through the rounding as if it were not there (the straight-through estimator of Bengio et
al., arXiv 1308.3432; steps as in Esser et al., Learned Step Size Quantization, ICLR 2020).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from edgekit.errors import MissingExtraError
from edgekit.graph.qdq import QuantizedTensor
from edgekit.graph.values import array_of, required
from edgekit.quantize.arithmetic import INT8_MAX, INT8_MIN, ActivationParams, FloatArray
from edgekit.quantize.options import QuantizeOptions
from edgekit.quantize.output_rounding import weight_bounds
from edgekit.quantize.plan import Layer

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["OPERATORS", "Learnable", "Segment", "import_torch", "is_differentiable"]

_LEANING = 0.3  # of a step: how far from its integer a weight starts at most, lest it flip at once


def import_torch() -> Any:
    """torch, or :class:`MissingExtraError`: learning needs gradients."""
    try:
        import torch
    except ImportError as exc:
        raise MissingExtraError("torch", "torch", "quantizing with high effort") from exc
    return torch


def _conv(node: ir.Node, inputs: Sequence[Tensor]) -> Tensor:
    functional = import_torch().nn.functional
    x, weight, bias = inputs
    attributes = node.attributes
    top, left, bottom, right = pads = attributes["pads"].as_ints()
    if _is_pointwise(attributes, pads):
        # As a product of matrices: torch's convolution copies its input here, which takes twice as long.
        product: Tensor = functional.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias)
        return product.permute(0, 3, 1, 2)
    padding: tuple[int, int] = (top, left)
    if (top, left) != (bottom, right):
        x, padding = functional.pad(x, (left, right, top, bottom)), (0, 0)
    result: Tensor = functional.conv2d(
        x,
        weight,
        bias,
        stride=tuple(attributes["strides"].as_ints()),
        padding=padding,
        dilation=tuple(attributes["dilations"].as_ints()),
        groups=attributes["group"].as_int(),
    )
    return result


def _is_pointwise(attributes: Mapping[str, ir.Attr], pads: Sequence[int]) -> bool:
    shape = (*attributes["kernel_shape"].as_ints(), *attributes["strides"].as_ints())
    return set(shape) == {1} and attributes["group"].as_int() == 1 and not any(pads)


def _gemm(node: ir.Node, inputs: Sequence[Tensor]) -> Tensor:
    x, weight, bias = inputs
    return x @ weight.T + bias


def _max_pool(node: ir.Node, inputs: Sequence[Tensor]) -> Tensor:
    functional = import_torch().nn.functional
    top, left, bottom, right = node.attributes["pads"].as_ints()
    padded = functional.pad(inputs[0], (left, right, top, bottom), value=-math.inf)
    kernel, stride = (tuple(node.attributes[name].as_ints()) for name in ("kernel_shape", "strides"))
    result: Tensor = functional.max_pool2d(padded, kernel, stride)
    return result


def _concat(node: ir.Node, inputs: Sequence[Tensor]) -> Tensor:
    result: Tensor = import_torch().cat(list(inputs), node.attributes["axis"].as_int())
    return result


OPERATORS: dict[str, Callable[[ir.Node, Sequence[Tensor]], Tensor]] = {
    "Add": lambda node, inputs: inputs[0] + inputs[1],
    "Concat": _concat,
    "Conv": _conv,
    "Flatten": lambda node, inputs: inputs[0].flatten(1),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda node, inputs: inputs[0].mean((2, 3), keepdim=True),
    "HardSigmoid": lambda node, inputs: (inputs[0] / 6 + 0.5).clamp(0, 1),
    "HardSwish": lambda node, inputs: inputs[0] * (inputs[0] / 6 + 0.5).clamp(0, 1),
    "MaxPool": _max_pool,
    "Mul": lambda node, inputs: inputs[0] * inputs[1],
    "Relu": lambda node, inputs: inputs[0].relu(),
    "Sigmoid": lambda node, inputs: inputs[0].sigmoid(),
    "Sub": lambda node, inputs: inputs[0] - inputs[1],
    "Tanh": lambda node, inputs: inputs[0].tanh(),
}
"""ONNX operator → its torch form. A layer of any other operator is left as it is."""

_HARD_SIGMOID = {"alpha": 1 / 6, "beta": 0.5}


def is_differentiable(layer: Layer, node: ir.Node) -> bool:
    """Whether this module can run the layer with integers in the loop."""
    if layer.precision != "int8" or layer.op_type not in OPERATORS:
        return False
    if layer.op_type == "HardSigmoid":
        return all(
            math.isclose(node.attributes.get_float(name, -1.0), value, rel_tol=1e-6)
            for name, value in _HARD_SIGMOID.items()
        )
    if layer.op_type == "MaxPool":
        return "pads" in node.attributes and "ceil_mode" not in node.attributes
    return layer.is_weighted or not layer.constants


@dataclass
class Learnable:
    """What is learned of a weighted layer, as leaves of the autograd graph.

    ``latent`` are the weights in steps of their ``scale`` ``[channels, 1, …]``; rounded they are the
    integers, within ``bounds``. ``bias`` is ``[channels]`` in units of ``bias_unit``, ``base`` what it is
    added to.
    """

    latent: Tensor
    bounds: tuple[Tensor, Tensor]
    scale: Tensor
    bias: Tensor
    bias_unit: float
    base: Tensor

    def weight(self) -> Tensor:
        """The rounded weight, through which gradients pass."""
        rounded = self.latent.detach().round().clamp(*self.bounds)
        return (self.latent + (rounded - self.latent.detach())) * self.scale

    def biases(self) -> Tensor:
        """The bias in real numbers."""
        return self.base + self.bias * self.bias_unit

    def integers(self) -> FloatArray:
        """The weight's integers."""
        found: FloatArray = self.latent.detach().round().clamp(*self.bounds).numpy()
        return found


class Segment:
    """Consecutive layers from the value ``source`` to the value ``target``, in torch.

    ``params`` are the int8 parameters of all values, ``constants`` the integers of every layer: where
    learning starts. The fp32 weights are the model's own; ``options`` bound their integers.
    """

    def __init__(
        self,
        nodes: Mapping[str, ir.Node],
        layers: Sequence[Layer],
        source: str,
        params: Mapping[str, ActivationParams],
        constants: Mapping[str, Mapping[int, QuantizedTensor]],
        learned_steps: frozenset[str],
        options: QuantizeOptions,
    ) -> None:
        torch = import_torch()
        self._nodes = nodes
        self.layers, self.source, self.target = tuple(layers), source, layers[-1].output
        self._params = params
        self._floats = {
            layer.name: _float_constants(nodes[layer.name]) for layer in layers if layer.is_weighted
        }
        self.learnables = {
            layer.name: _learnable(
                nodes[layer.name],
                self._floats[layer.name][0],
                constants[layer.name],
                params[layer.output].scale,
                options,
            )
            for layer in layers
            if layer.is_weighted
        }
        self.log_steps = {name: torch.zeros((), requires_grad=True) for name in sorted(learned_steps)}

    def run_float(self, inputs: Tensor) -> Tensor:
        """The fp32 network's answer."""
        state = {self.source: inputs}
        for layer in self.layers:
            constants = self._floats.get(layer.name, ())
            state[layer.output] = _clamped(self._raw(layer, state, constants), layer)
        return state[self.target]

    def run_quantized(self, inputs: Tensor) -> Tensor:
        """The quantized network's answer; ``inputs`` are numbers that int8 holds."""
        state = {self.source: inputs}
        for layer in self.layers:
            learned = self.learnables.get(layer.name)
            constants = (learned.weight(), learned.biases()) if learned is not None else ()
            state[layer.output] = self._rounded(layer, self._raw(layer, state, constants))
        return state[self.target]

    def step(self, name: str) -> float:
        """The learned step of a value's group."""
        return self._params[name].scale * math.exp(float(self.log_steps[name].detach()))

    def _raw(self, layer: Layer, state: Mapping[str, Tensor], constants: Sequence[Tensor]) -> Tensor:
        inputs = [state[name] for name in layer.inputs]
        return OPERATORS[layer.op_type](self._nodes[layer.name], [*inputs, *constants])

    def _rounded(self, layer: Layer, raw: Tensor) -> Tensor:
        torch = import_torch()
        if layer.is_copy and layer.op_type != "AveragePool":
            return _clamped(raw, layer)
        params = self._params[layer.output]
        log_step = self.log_steps.get(layer.output)
        step = torch.tensor(params.scale) if log_step is None else log_step.exp() * params.scale
        size = float(step.detach())
        low, high = (np.clip(bound / size, -512, 512) for bound in layer.bounds)
        ends = (
            max(INT8_MIN - params.zero_point, round(low)),
            min(INT8_MAX - params.zero_point, round(high)),
        )
        rounded: Tensor = _fake_quantize()(raw, step, ends)
        return rounded


def _clamped(raw: Tensor, layer: Layer) -> Tensor:
    return raw if layer.bounds == (-math.inf, math.inf) else raw.clamp(*layer.bounds)


def _float_constants(node: ir.Node) -> tuple[Tensor, Tensor]:
    torch = import_torch()
    arrays = (array_of(required(node, index)) for index in (1, 2))
    weight, bias = (torch.from_numpy(np.array(array, np.float32)) for array in arrays)
    return weight, bias


def _learnable(
    node: ir.Node,
    weight: Tensor,
    constants: Mapping[int, QuantizedTensor],
    output_step: float,
    options: QuantizeOptions,
) -> Learnable:
    """Starts at the integers that are there, leaning to the side on which the fp32 weight lies."""
    torch = import_torch()
    integers, bias = constants[1].values, constants[2].values
    assert integers is not None
    assert bias is not None
    shape = [-1] + [1] * (weight.ndim - 1)
    scale = torch.from_numpy(np.array(constants[1].scale, np.float32)).reshape(
        shape if constants[1].scale.ndim else []
    )
    start = torch.from_numpy(integers.astype(np.float32))
    latent = (weight / scale).clamp(start - _LEANING, start + _LEANING)
    base = torch.from_numpy((bias * constants[2].scale.astype(np.float64)).astype(np.float32))
    low, high = weight_bounds(node, integers.astype(np.int8), options)
    return Learnable(
        latent=latent.requires_grad_(),
        bounds=(torch.from_numpy(low), torch.from_numpy(high)),
        scale=scale,
        bias=torch.zeros_like(base, requires_grad=True),
        bias_unit=output_step,
        base=base,
    )


_FAKE_QUANTIZE: list[Callable[..., Tensor]] = []


def _fake_quantize() -> Callable[..., Tensor]:
    """The autograd function, made when torch is first needed."""
    if _FAKE_QUANTIZE:
        return _FAKE_QUANTIZE[0]
    torch = import_torch()

    class FakeQuantize(torch.autograd.Function):  # type: ignore[misc, name-defined]  # torch is imported lazily
        @staticmethod
        def forward(ctx: Any, x: Tensor, step: Tensor, ends: tuple[int, int]) -> Tensor:
            size = float(step.detach())
            rounded = x.mul(1 / size).round_().clamp_(*ends).mul_(size)
            ctx.save_for_backward(x, rounded)
            ctx.size, ctx.ends, ctx.needs_step = size, ends, step.requires_grad
            return rounded

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:
            x, rounded = ctx.saved_tensors
            low, high = ((end + side) * ctx.size for end, side in zip(ctx.ends, (-0.5, 0.5), strict=True))
            # Passes what lies between the ends, in one go over memory.
            passed = torch.ops.aten.hardtanh_backward(gradient, x, low, high)
            if not ctx.needs_step:
                return passed, None, None
            # Inside the rounding error, outside the end's integer: both without another mask.
            by_step = (_dot(gradient, rounded) - _dot(passed, x)) / ctx.size
            return passed, by_step, None

    _FAKE_QUANTIZE.append(FakeQuantize.apply)
    return _FAKE_QUANTIZE[0]


def _dot(one: Tensor, other: Tensor) -> Tensor:
    """Sum of products, in the order of memory that convolutions here have."""
    flat = [value.permute(0, 2, 3, 1) if value.ndim == 4 else value for value in (one, other)]
    found: Tensor = import_torch().dot(flat[0].reshape(-1), flat[1].reshape(-1))
    return found
