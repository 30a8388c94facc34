"""High effort: weights' rounding, biases and activation steps learned block by block.

The network is cut where a single value carries everything on. Each block learns to answer quantized inputs
as the fp32 network answers its own: rounding as in AdaRound (Nagel et al., Up or Down?, ICML 2020), over
whole blocks as in BRECQ (Li et al., ICLR 2021) with activations quantized while it learns as in QDrop (Wei
et al., ICLR 2022), and steps as in LSQ. Where an int8 value stands between large pictures, random crops of
them are enough. What a block learned is kept only if it holds on images that were held back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir

from edgekit.graph.qdq import QuantizedTensor
from edgekit.graph.run import GraphRunner
from edgekit.graph.subgraph import values_by_name
from edgekit.quantize.arithmetic import (
    ActivationParams,
    FloatArray,
    bias_scale,
    dequantize,
    quantize,
    quantize_bias,
    scale_floor,
)
from edgekit.quantize.plan import Layer, Plan
from edgekit.quantize.reference import chunks
from edgekit.quantize.rewrite import rewrite
from edgekit.quantize.sequential import Constants
from edgekit.quantize.torch_graph import Segment, channel_weights, import_torch, is_differentiable

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Learned", "LearningOptions", "cut_blocks", "learn"]

Progress = Callable[[str, int, int], None]

_LOCAL = frozenset(
    {"Conv", "Add", "Sub", "Mul", "Relu", "Concat", "HardSwish", "Sigmoid", "HardSigmoid", "Tanh"}
)
_WEIGHED_IMAGES = 16  # that tell how much the logits depend on each channel
_CROP = 32  # pixels: crops of inputs larger than this, of layers that see no farther than their kernels


@dataclass(frozen=True)
class LearningOptions:
    """How long and how fast: iterations of each block, images of a batch, and Adam's rates.

    Rates are in steps of the weight, in steps of the output for biases, and relative for activation steps.
    """

    iterations: int = 30
    batch: int = 16
    weight_rate: float = 0.01
    bias_rate: float = 0.02
    step_rate: float = 0.001
    held_back: float = 0.2


@dataclass(frozen=True)
class Learned:
    """Parameters and constants as learned, and what they give.

    ``kept`` of the ``blocks`` that can learn gained on held-back images, none if the whole network did not.
    ``logits`` are the quantized network's on all images.
    """

    params: Mapping[str, ActivationParams]
    constants: Constants
    logits: FloatArray
    blocks: int
    kept: int


@dataclass(frozen=True)
class _Block:
    """Consecutive layers between two int8 values that carry everything on."""

    source: str
    layers: tuple[Layer, ...]

    @property
    def target(self) -> str:
        return self.layers[-1].output


def cut_blocks(plan: Plan) -> list[tuple[str, tuple[Layer, ...]]]:
    """The plan's layers cut at int8 values that all behind depends on alone, with each part's source."""
    return [(block.source, block.layers) for block in _blocks(plan)]


def _blocks(plan: Plan) -> Iterator[_Block]:
    last_reader = {name: i for i, layer in enumerate(plan.layers) for name in layer.inputs}
    alive = {plan.input}
    source, start = plan.input, 0
    for i, layer in enumerate(plan.layers):
        alive = {name for name in (*alive, layer.output) if last_reader.get(name, -1) > i}
        if i + 1 == len(plan.layers) or (alive == {layer.output} and _is_cut(plan, start, i)):
            yield _Block(source, plan.layers[start : i + 1])
            source, start = layer.output, i + 1


def _is_cut(plan: Plan, start: int, i: int) -> bool:
    """After a linear layer, where networks are narrow, and where something to learn lies behind and ahead."""
    layer = plan.layers[i]
    ahead = any(one.is_weighted for one in plan.layers[i + 1 :])
    is_linear = layer.bounds[0] == -np.inf and layer.op_type in ("Conv", "Add")
    has_weights = any(one.is_weighted for one in plan.layers[start : i + 1])
    return ahead and is_linear and has_weights and plan.precisions[layer.output] == "int8"


def learn(
    model: ir.Model,
    plan: Plan,
    params: Mapping[str, ActivationParams],
    constants: Constants,
    images: FloatArray,
    options: LearningOptions | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Learned:
    """Improve integers and activation steps of a quantized network on float32 NCHW ``images``.

    ``model`` is the canonical fp32 graph, ``params`` and ``constants`` what the default mode made of it.
    Blocks with an operator that cannot be differentiated here, or with layers that are not int8, stay as
    they are. The same arguments and number of threads give the same result. Raises
    :class:`~edgekit.errors.MissingExtraError` without torch.
    """
    options = options or LearningOptions()
    generator = import_torch().Generator().manual_seed(seed)
    copied = {name: dict(kept) for name, kept in constants.items()}
    walk = _Walk(model, plan, dict(params), copied, options)
    blocks = list(_blocks(plan))
    held = max(1, round(options.held_back * len(images)))
    weights = walk.channel_weights(blocks, images[held : held + _WEIGHED_IMAGES], seed)
    float_state, quantized_state = images, walk.rounded_input(images)
    learned = kept = 0
    for done, block in enumerate(blocks, 1):
        if len(images) > held and walk.can_learn(block):
            learned += 1
            kept += walk.learn(
                block, float_state, quantized_state, held, weights.get(block.target), generator
            )
        if done < len(blocks):
            runner = GraphRunner(model, [block.target], inputs=[block.source], num_threads=None)
            float_state = _run(runner, float_state)
            quantized_state = walk.run_quantized(block, quantized_state)
        if progress is not None:
            progress("learn", done, len(blocks))
    reference = _run(GraphRunner(model, [plan.output], num_threads=None), images)
    before = _run(GraphRunner(rewrite(model, plan, params, constants), num_threads=None), images)
    after = _run(GraphRunner(rewrite(model, plan, walk.params, walk.constants), num_threads=None), images)
    if _noise(reference[:held], after[:held]) >= _noise(reference[:held], before[:held]):
        return Learned(params, constants, before, learned, 0)
    return Learned(walk.params, walk.constants, after, learned, kept)


def _noise(reference: FloatArray, answers: FloatArray) -> float:
    return float(np.square(reference - answers).sum())


class _Walk:
    """The network's parameters and constants while blocks replace them one after another."""

    def __init__(
        self,
        model: ir.Model,
        plan: Plan,
        params: dict[str, ActivationParams],
        constants: Constants,
        options: LearningOptions,
    ) -> None:
        self._model, self._plan, self._options = model, plan, options
        self._nodes = {node.name or "": node for node in model.graph}
        self._shapes = {name: value.shape for name, value in values_by_name(model).items()}
        self.params, self.constants = params, constants

    def can_learn(self, block: _Block) -> bool:
        """Whether every layer of the block can, and one has weights."""
        return any(layer.is_weighted for layer in block.layers) and all(
            is_differentiable(layer, self._nodes[layer.name]) for layer in block.layers
        )

    def channel_weights(
        self, blocks: Sequence[_Block], images: FloatArray, seed: int
    ) -> dict[str, FloatArray]:
        """How much the logits depend on channels; nothing when a block cannot be differentiated."""
        if not len(images) or not all(self.can_learn(block) for block in blocks):
            return {}
        return channel_weights([self._segment(block) for block in blocks], images, seed)

    def rounded_input(self, images: FloatArray) -> FloatArray:
        """The images as the network's int8 input holds them."""
        params = self.params[self._plan.input]
        return dequantize(quantize(images, params), params)

    def run_quantized(self, block: _Block, state: FloatArray) -> FloatArray:
        """The block's output, by the quantized graph as it stands."""
        quantized = rewrite(self._model, self._plan, self.params, self.constants)
        source, target = f"{block.source}.dequantized", f"{block.target}.dequantized"
        return _run(GraphRunner(quantized, [target], inputs=[source], num_threads=None), state)

    def learn(
        self,
        block: _Block,
        float_state: FloatArray,
        quantized_state: FloatArray,
        held: int,
        fractions: FloatArray | None,
        generator: Any,
    ) -> bool:
        """Learn one block; whether it came nearer to fp32 on the first ``held`` images, else it is kept."""
        segment = self._segment(block)
        before = _error(segment, float_state[:held], quantized_state[:held], fractions)
        trainer = _Trainer(segment, self._options, self._crop(block), fractions, generator)
        trainer.train(float_state[held:], quantized_state[held:])
        params, constants = self._hardened(segment)
        if _error(segment, float_state[:held], quantized_state[:held], fractions) >= before:
            return False
        self.params.update(params)
        self.constants.update(constants)
        return True

    def _segment(self, block: _Block) -> Segment:
        made = {layer.output for layer in block.layers}
        steps = frozenset(
            layer.output
            for layer in block.layers
            if not layer.is_copy and self._is_free(layer.output, made) and layer.output != self._plan.output
        )
        return Segment(self._nodes, block.layers, block.source, self.params, self.constants, steps)

    def _is_free(self, name: str, made: set[str]) -> bool:
        """Whether the value's parameters are its own to choose, and nobody's outside the block."""
        index = next(i for i, group in enumerate(self._plan.groups) if name in group)
        group = self._plan.groups[index]
        return index not in self._plan.fixed and set(group) <= made and len(self._plan.sources(index)) == 1

    def _crop(self, block: _Block) -> int | None:
        """Side of the crops to learn on, or None for whole pictures."""
        shape = self._shapes[block.source]
        sees_far = any(layer.op_type not in _LOCAL for layer in block.layers)
        if shape is None or len(shape) != 4 or sees_far:
            return None
        return _CROP if min(int(side) for side in shape.numpy()[2:]) > _CROP else None

    def _hardened(self, segment: Segment) -> tuple[dict[str, ActivationParams], Constants]:
        """What was learned as parameters and integers; the segment takes on what they stand for."""
        params = dict(self.params)
        for name in segment.log_steps:
            step = float(np.float32(segment.step(name)))
            for member in next(group for group in self._plan.groups if name in group):
                params[member] = replace(params[member], scale=step)
        constants: Constants = {}
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
        return params, constants


class _Trainer:
    """Adam over one segment's learnables, on random crops of random images."""

    def __init__(
        self,
        segment: Segment,
        options: LearningOptions,
        crop: int | None,
        fractions: FloatArray | None,
        generator: Any,
    ) -> None:
        self._torch = import_torch()
        self._segment, self._options, self._crop, self._generator = segment, options, crop, generator
        self._fractions = _shaped(fractions)
        learnables = segment.learnables.values()
        groups = [
            {"params": [one.latent for one in learnables], "lr": options.weight_rate},
            {"params": [one.bias for one in learnables], "lr": options.bias_rate},
            {"params": list(segment.log_steps.values()), "lr": options.step_rate},
        ]
        self._adam = self._torch.optim.Adam([group for group in groups if group["params"]])
        self._decay = self._torch.optim.lr_scheduler.CosineAnnealingLR(self._adam, options.iterations)

    def train(self, float_state: FloatArray, quantized_state: FloatArray) -> None:
        """All iterations."""
        for _ in range(self._options.iterations):
            floats, quantized = self._batch(float_state, quantized_state)
            with self._torch.no_grad():
                wanted = self._segment.run_float(floats)
            error = (self._segment.run_quantized(quantized) - wanted).square()
            loss = (error if self._fractions is None else error * _fit(self._fractions, error)).mean()
            self._adam.zero_grad()
            self._torch.autograd.backward(loss)
            self._adam.step()
            self._decay.step()

    def _batch(self, *states: FloatArray) -> list[Tensor]:
        torch = self._torch
        count = min(self._options.batch, len(states[0]))
        chosen = torch.randperm(len(states[0]), generator=self._generator)[:count].numpy()
        parts = [state[chosen] for state in states]
        if self._crop is not None:
            y, x = (
                8 * int(torch.randint((side - self._crop) // 8 + 1, (), generator=self._generator))
                for side in parts[0].shape[2:]
            )
            parts = [part[:, :, y : y + self._crop, x : x + self._crop] for part in parts]
        return [_tensor(part) for part in parts]


def _error(
    segment: Segment, float_state: FloatArray, quantized_state: FloatArray, fractions: FloatArray | None
) -> float:
    """The weighted squared error of the segment's output, over all images."""
    torch = import_torch()
    total, shaped = 0.0, _shaped(fractions)
    with torch.no_grad():
        for floats, quantized in zip(chunks(float_state), chunks(quantized_state), strict=True):
            wanted = segment.run_float(_tensor(floats))
            error = (segment.run_quantized(_tensor(quantized)) - wanted).square()
            total += float((error if shaped is None else error * _fit(shaped, error)).sum())
    return total


def _tensor(values: FloatArray) -> Tensor:
    """In the layout that torch's convolutions are fastest in."""
    torch = import_torch()
    layout = torch.channels_last if values.ndim == 4 else torch.contiguous_format
    found: Tensor = torch.from_numpy(values).contiguous(memory_format=layout)
    return found


def _shaped(fractions: FloatArray | None) -> Tensor | None:
    if fractions is None:
        return None
    found: Tensor = import_torch().from_numpy(np.asarray(fractions, np.float32))
    return found


def _fit(fractions: Tensor, error: Tensor) -> Tensor:
    return fractions.reshape([1, -1] + [1] * (error.ndim - 2))


def _run(runner: GraphRunner, state: FloatArray) -> FloatArray:
    return np.concatenate([next(iter(runner.run(part).values())) for part in chunks(state)])
