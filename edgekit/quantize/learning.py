"""High effort: rounding of weights, biases and activation steps, learned together.

The quantized network learns to answer as the fp32 network does, all roundings in the loop: weights choose
their integers as in AdaRound (Nagel et al., Up or Down?, ICML 2020), by straight-through gradients, with
activations quantized while they learn as in BRECQ (Li et al., ICLR 2021), and steps as in LSQ (Esser et
al., ICLR 2020). What is learned at once is as long as can be: all of the network, or its stretches between
layers that cannot learn. A stretch keeps what it learned only if the logits of images that were held
back came nearer to fp32's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from edgekit.graph.qdq import QuantizedTensor
from edgekit.graph.run import GraphRunner
from edgekit.graph.subgraph import values_by_name
from edgekit.graph.values import shape_of
from edgekit.quantize.arithmetic import (
    ActivationParams,
    FloatArray,
    bias_scale,
    dequantize,
    quantize,
    quantize_bias,
    scale_floor,
)
from edgekit.quantize.checkpoint import Checkpoint
from edgekit.quantize.exact_sums import with_exact_sums
from edgekit.quantize.options import QuantizeOptions
from edgekit.quantize.plan import Layer, Plan
from edgekit.quantize.reference import run_all
from edgekit.quantize.rewrite import rewrite
from edgekit.quantize.sequential import Constants
from edgekit.quantize.torch_graph import Segment, import_torch, is_differentiable

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Learned", "LearningOptions", "Stretch", "cut_stretches", "learn"]

Progress = Callable[[str, int, int], None]

_STATE_BYTES = 512 << 20  # of a stretch's inputs over all images
_HELD_BACK = 4  # images at least, where that leaves three times as many to learn on
_WARM_UP = 0.08  # of the iterations, in which the rates grow
_BETAS = (0.9, 0.99)


@dataclass(frozen=True)
class LearningOptions:
    """How long and how fast: iterations, images of a batch, and Adam's rates at their highest.

    Rates are in steps of the weight, in steps of the output for biases, and relative for activation steps.
    ``held_back`` is the share of the images that decide whether what was learned is kept, mirrored ones among
    them, ``keep_every`` the iterations after which it is written down how far learning is.
    """

    iterations: int = 120
    batch: int = 8
    weight_rate: float = 0.01
    bias_rate: float = 0.004
    step_rate: float = 0.0003
    held_back: float = 0.15
    keep_every: int = 5


@dataclass(frozen=True)
class Learned:
    """Parameters and constants, as ``kept`` of the ``stretches`` that can learn left them."""

    params: Mapping[str, ActivationParams]
    constants: Constants
    stretches: int
    kept: int


@dataclass(frozen=True)
class Stretch:
    """Consecutive layers from the one value that carries everything in to the one that carries it on."""

    source: str
    layers: tuple[Layer, ...]
    learns: bool = True

    @property
    def target(self) -> str:
        """The value that the last layer makes."""
        return self.layers[-1].output


def cut_stretches(plan: Plan, nodes: Mapping[str, ir.Node]) -> list[Stretch]:
    """The plan's layers as the longest stretches that learn, and what lies between them."""
    stretches: list[Stretch] = []
    for block in _blocks(plan):
        learns = all(is_differentiable(layer, nodes[layer.name]) for layer in block.layers)
        if stretches and stretches[-1].learns == learns:
            before = stretches.pop()
            block = Stretch(before.source, before.layers + block.layers)
        stretches.append(replace(block, learns=learns))
    return [
        replace(one, learns=one.learns and any(layer.is_weighted for layer in one.layers))
        for one in stretches
    ]


def _blocks(plan: Plan) -> list[Stretch]:
    """The plan's layers cut at every int8 value that all behind depends on alone."""
    alive = {plan.input}
    source, start = plan.input, 0
    blocks = []
    for i, layer in enumerate(plan.layers):
        alive = {name for name in (*alive, layer.output) if plan.last_readers.get(name, -1) > i}
        is_cut = alive == {layer.output} and plan.precisions[layer.output] == "int8"
        if is_cut or i + 1 == len(plan.layers):
            blocks.append(Stretch(source, plan.layers[start : i + 1]))
            source, start = layer.output, i + 1
    return blocks


def learn(
    model: ir.Model,
    plan: Plan,
    params: Mapping[str, ActivationParams],
    constants: Constants,
    images: FloatArray,
    options: LearningOptions | None = None,
    *,
    chosen: QuantizeOptions | None = None,
    progress: Progress | None = None,
    folder: Path | None = None,
) -> Learned:
    """Improve integers and activation steps of a quantized network on float32 NCHW ``images``.

    ``model`` is the canonical fp32 graph, ``params`` and ``constants`` what the default mode made of it by
    ``chosen``, whose ``seed`` draws the images and whose bounds of weights hold here too.
    Layers that cannot be differentiated here, or are not int8, stay as they are. The same arguments and
    number of threads give the same result; in ``folder`` it is kept how far they got, so that a second call
    goes on where the first was interrupted. Raises :class:`~edgekit.errors.MissingExtraError` without torch.
    """
    options, chosen = options or LearningOptions(), chosen or QuantizeOptions()
    generator = import_torch().Generator().manual_seed(chosen.seed)
    copied = {name: dict(kept) for name, kept in constants.items()}
    network = _Network(model, plan, dict(params), copied, chosen)
    held = max(1, min(_HELD_BACK, len(images) // 4), round(options.held_back * len(images)))
    # The last ones, which the default mode did not round its weights on where there are many.
    judges = np.concatenate([images[-held:], images[-held:, ..., ::-1]])
    able = [one for one in cut_stretches(plan, network.nodes) if one.learns] if len(images) > held else []
    if not able:
        return Learned(network.params, network.constants, 0, 0)
    checkpoint = Checkpoint(folder, _identity(model, params, constants, images, options, chosen))
    reference = run_all(GraphRunner(model, [plan.output], num_threads=None), judges)
    noise, kept = _noise(reference, network.answer(judges)), 0
    for done, stretch in enumerate(able):
        report = None if progress is None else _Part(progress, done, len(able), options.iterations)
        segment = network.segment(stretch)
        states = network.states(stretch, images[:-held])
        trainer = _Trainer(segment, options, generator)
        trainer.resume(checkpoint.state(done))
        trainer.train(*states, report, partial(checkpoint.keep, done))
        before = network.params, network.constants
        network.harden(segment)
        found = _noise(reference, network.answer(judges))
        if found < noise:
            noise, kept = found, kept + 1
        else:
            network.params, network.constants = before
    checkpoint.discard()
    return Learned(network.params, network.constants, len(able), kept)


def _identity(
    model: ir.Model,
    params: Mapping[str, ActivationParams],
    constants: Constants,
    images: FloatArray,
    options: LearningOptions,
    chosen: QuantizeOptions,
) -> Iterator[bytes]:
    """Everything that decides what is learned, but the processor."""
    torch = import_torch()
    yield repr((torch.__version__, torch.get_num_threads(), chosen, options)).encode()
    yield ir.to_proto(model).SerializeToString(deterministic=True)
    yield repr(sorted(params.items())).encode()
    for name in sorted(constants):
        for index, kept in sorted(constants[name].items()):
            yield f"{name} {index} {kept.zero_point} {kept.dtype}".encode()
            yield np.ascontiguousarray(kept.scale).tobytes() + np.ascontiguousarray(kept.values).tobytes()
    yield np.ascontiguousarray(images).tobytes()


@dataclass(frozen=True)
class _Part:
    """Progress of one of several stretches."""

    progress: Progress
    done: int
    stretches: int
    iterations: int

    def __call__(self, iteration: int) -> None:
        self.progress("learn", self.done * self.iterations + iteration, self.stretches * self.iterations)


def _noise(reference: FloatArray, answers: FloatArray) -> float:
    """Squared error of the logits."""
    return float(np.square(reference - answers, dtype=np.float64).sum())


class _Network:
    """The network's parameters and constants while stretches replace them one after another."""

    def __init__(
        self,
        model: ir.Model,
        plan: Plan,
        params: Mapping[str, ActivationParams],
        constants: Constants,
        chosen: QuantizeOptions,
    ) -> None:
        self._model, self._plan, self._chosen = model, plan, chosen
        self.nodes = {node.name or "": node for node in model.graph}
        self.params, self.constants = params, constants

    def answer(self, images: FloatArray) -> FloatArray:
        """The quantized network's logits as it stands."""
        return run_all(GraphRunner(self._quantized(), num_threads=None), images)

    def states(self, stretch: Stretch, images: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What the stretch reads in the fp32 network and in the quantized one."""
        if stretch.source == self._plan.input:
            params = self.params[stretch.source]
            return images, dequantize(quantize(images, params), params)
        size = 4 * math.prod(shape_of(values_by_name(self._model)[stretch.source]))
        images = images[: max(_STATE_BYTES // size, 1)]
        floats = GraphRunner(self._model, [stretch.source], num_threads=None)
        integers = GraphRunner(self._quantized(), [f"{stretch.source}.dequantized"], num_threads=None)
        return run_all(floats, images), run_all(integers, images)

    def segment(self, stretch: Stretch) -> Segment:
        """The stretch with what it can learn."""
        made = {layer.output for layer in stretch.layers}
        steps = frozenset(
            layer.output
            for layer in stretch.layers
            if not layer.is_copy and self._is_free(layer.output, made) and layer.output != self._plan.output
        )
        return Segment(
            self.nodes, stretch.layers, stretch.source, self.params, self.constants, steps, self._chosen
        )

    def harden(self, segment: Segment) -> None:
        """Take on what was learned as parameters and integers."""
        params = dict(self.params)
        for name in segment.log_steps:
            step = float(np.float32(segment.step(name)))
            for member in self._plan.groups[self._plan.group_of[name]]:
                params[member] = replace(params[member], scale=step)
        params = with_exact_sums(self._plan, params, {self._plan.input})
        constants = dict(self.constants)
        for layer in segment.layers:
            learned = segment.learnables.get(layer.name)
            if learned is None:
                continue
            kept = self.constants[layer.name]
            bias = learned.biases().detach().numpy()
            steps = bias_scale(params[layer.inputs[0]].scale, kept[1].scale)
            assert np.all(kept[1].scale >= scale_floor(bias, params[layer.inputs[0]].scale) / 2)
            constants[layer.name] = {
                **kept,
                1: replace(kept[1], values=learned.integers().astype(np.int8)),
                2: QuantizedTensor(steps, 0, kept[2].dtype, kept[2].axis, quantize_bias(bias, steps)),
            }
        self.params, self.constants = params, constants

    def _quantized(self) -> ir.Model:
        return rewrite(self._model, self._plan, self.params, self.constants)

    def _is_free(self, name: str, made: set[str]) -> bool:
        """Whether the value's parameters are its own to choose, and nobody's outside the stretch."""
        index = self._plan.group_of[name]
        group = self._plan.groups[index]
        return index not in self._plan.fixed and set(group) <= made and len(self._plan.sources(index)) == 1


class _Trainer:
    """Adam over one segment's learnables, on random images, half of them mirrored."""

    def __init__(self, segment: Segment, options: LearningOptions, generator: Any) -> None:
        self._torch = import_torch()
        self._segment, self._options, self._generator = segment, options, generator
        learnables = segment.learnables.values()
        groups: list[dict[str, Any]] = [
            {"params": [one.latent for one in learnables], "lr": options.weight_rate},
            {"params": [one.bias for one in learnables], "lr": options.bias_rate},
            {"params": list(segment.log_steps.values()), "lr": options.step_rate},
        ]
        self._adam = self._torch.optim.Adam([group for group in groups if group["params"]], betas=_BETAS)
        self._rates = self._torch.optim.lr_scheduler.LambdaLR(self._adam, self._rate)
        self._tensors = [tensor for group in groups for tensor in group["params"]]
        self._done = 0

    def resume(self, state: Mapping[str, Any] | None) -> None:
        """Go on from what was handed to ``keep`` while it trained."""
        if state is None:
            return
        with self._torch.no_grad():
            for tensor, kept in zip(self._tensors, state["tensors"], strict=True):
                tensor.copy_(kept)
        self._adam.load_state_dict(state["adam"])
        self._rates.load_state_dict(state["rates"])
        self._generator.set_state(state["generator"])
        self._done = state["iterations"]

    def train(
        self,
        float_state: FloatArray,
        quantized_state: FloatArray,
        report: Callable[[int], None] | None,
        keep: Callable[[dict[str, Any]], None],
    ) -> None:
        """All iterations that were not done before."""
        while self._done < self._options.iterations:
            floats, quantized = self._batch(float_state, quantized_state)
            with self._torch.no_grad():
                wanted = self._segment.run_float(floats)
            loss = (self._segment.run_quantized(quantized) - wanted).square().mean()
            self._adam.zero_grad()
            self._torch.autograd.backward(loss)
            self._adam.step()
            self._rates.step()
            self._done += 1
            if self._done % self._options.keep_every == 0 or self._done == self._options.iterations:
                keep(self._state())
            if report is not None:
                report(self._done)

    def _state(self) -> dict[str, Any]:
        return {
            "tensors": [tensor.detach() for tensor in self._tensors],
            "adam": self._adam.state_dict(),
            "rates": self._rates.state_dict(),
            "generator": self._generator.get_state(),
            "iterations": self._done,
        }

    def _rate(self, iteration: int) -> float:
        """Share of the highest rate: up in a line, down along a cosine."""
        done = iteration / self._options.iterations
        return min(1.0, (done + 1 / self._options.iterations) / _WARM_UP) * (1 + math.cos(math.pi * done)) / 2

    def _batch(self, *states: FloatArray) -> list[Tensor]:
        torch = self._torch
        count = min(self._options.batch, len(states[0]))
        chosen = torch.randperm(len(states[0]), generator=self._generator)[:count].numpy()
        mirrored = chosen[: count // 2], chosen[count // 2 :]
        return [_tensor(_mirrored(state, *mirrored)) for state in states]


def _mirrored(state: FloatArray, mirrored: Any, plain: Any) -> FloatArray:
    first = state[mirrored][..., ::-1] if state.ndim == 4 else state[mirrored]
    both: FloatArray = np.concatenate([first, state[plain]])
    return both


def _tensor(values: FloatArray) -> Tensor:
    """In the layout that torch's convolutions are fastest in."""
    torch = import_torch()
    layout = torch.channels_last if values.ndim == 4 else torch.contiguous_format
    found: Tensor = torch.from_numpy(np.ascontiguousarray(values)).contiguous(memory_format=layout)
    return found
