"""Running the fp32 network on calibration images and keeping what quantization has to know of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import onnx_ir as ir

from edgekit.errors import InputError
from edgekit.graph.run import GraphRunner
from edgekit.graph.subgraph import values_by_name
from edgekit.graph.values import shape_of
from edgekit.quantize.arithmetic import FloatArray
from edgekit.quantize.observers import Observer, Sample
from edgekit.quantize.parallel import in_order
from edgekit.quantize.plan import Layer, Plan, make_plan
from edgekit.quantize.spare import Stagger

__all__ = ["Observation", "observe"]

Progress = Callable[[str, int, int], None]

_OBSERVED_BYTES = 64 << 20  # of the outputs of layers that run, and are kept, together
_CARRIED_BYTES = 256 << 20  # of the largest layer's float output over all images carried along
_CARRIED_IMAGES = (8, 48)  # more take time and change little
_KEPT_BYTES = 512 << 20  # of images that high effort learns on


@dataclass(frozen=True)
class Observation:
    """What calibration saw of a graph: the distribution of every quantized value, and some images.

    ``carried`` are the images that go through the network again while it is quantized, float32 NCHW, ``kept``
    all that high effort learns on: these and others.
    ``staggers`` come from conditioning the graph, if it was (:mod:`edgekit.quantize.conditioning`).
    """

    plan: Plan
    observers: Mapping[str, Observer]
    carried: FloatArray
    images: int
    staggers: tuple[Stagger, ...] = ()
    kept: FloatArray | None = None


def observe(
    model: ir.Model,
    images: Iterable[FloatArray],
    *,
    floats: Collection[str] = (),
    staggers: Collection[Stagger] = (),
    keeps_images: bool = False,
    progress: Progress | None = None,
    total: int = 0,
) -> Observation:
    """Run a canonical fp32 graph on calibration images, float32 ``[1, C, H, W]`` each.

    Statistics stream: memory does not grow with the number of images, and of a large network only a few
    layers' outputs are held at a time. ``floats`` are layers that stay float: they need no integer form.
    ``keeps_images`` keeps as many images as a fixed memory holds, for high effort to learn on.
    ``total`` is only for ``progress``.
    Raises :class:`~edgekit.errors.UnsupportedError` for an operator without an integer form and
    :class:`~edgekit.errors.InputError` for no images or activations that are not finite.
    """
    plan = make_plan(model, floats)
    sizes = _sizes_bytes(model, plan)
    observers = {name: Observer(name) for name in plan.values}
    stretches = list(_stretches(model, plan, sizes))
    limit = int(np.clip(_CARRIED_BYTES // max(sizes.values()), *_CARRIED_IMAGES))
    most = max(limit, _KEPT_BYTES // sizes[plan.input]) if keeps_images else limit
    kept: list[FloatArray] = []
    count = 0
    samples = in_order(partial(_sampled, plan.input, stretches), images)
    for count, (image, found) in enumerate(samples, 1):
        for name, sample in found.items():
            observers[name].update(sample)
        if len(kept) < most:
            kept.append(image)
        if progress is not None:
            progress("calibrate", count, total)
    if not kept:
        raise InputError("no calibration image was given", hint="give a folder with at least one image")
    batch = np.concatenate(kept)
    return Observation(
        plan, observers, batch[:limit], count, tuple(staggers), batch if keeps_images else None
    )


@dataclass(frozen=True)
class _Stretch:
    """Consecutive layers that run as one; ``finished`` are the values that no later stretch reads."""

    runner: GraphRunner
    finished: frozenset[str]


def _sampled(
    source: str, stretches: Sequence[_Stretch], image: FloatArray
) -> tuple[FloatArray, dict[str, Sample]]:
    """The image, and a sample of each value that the network makes of it."""
    state = {source: image}
    samples = {source: Sample.of(image)}
    for stretch in stretches:
        outputs = stretch.runner.run({name: state[name] for name in stretch.runner.input_names})
        samples.update((name, Sample.of(values)) for name, values in outputs.items())
        state.update(outputs)
        for name in stretch.finished:
            del state[name]
    return image, samples


def _stretches(model: ir.Model, plan: Plan, sizes: Mapping[str, int]) -> Iterator[_Stretch]:
    """The network cut where its layers' outputs would outgrow the budget."""
    start = 0
    for stop in _cuts(plan.layers, sizes):
        layers = plan.layers[start:stop]
        made = [layer.output for layer in layers]
        given = dict.fromkeys(name for layer in layers for name in layer.inputs if name not in made)
        finished = {name for name in (*given, *made) if plan.last_readers.get(name, 0) < stop}
        yield _Stretch(GraphRunner(model, made, inputs=tuple(given)), frozenset(finished))
        start = stop


def _cuts(layers: Sequence[Layer], sizes: Mapping[str, int]) -> Iterator[int]:
    held = 0
    for i, layer in enumerate(layers):
        if held and held + sizes[layer.output] > _OBSERVED_BYTES:
            yield i
            held = 0
        held += sizes[layer.output]
    yield len(layers)


def _sizes_bytes(model: ir.Model, plan: Plan) -> dict[str, int]:
    """Size in float32 of each of the plan's values, for one image."""
    values = values_by_name(model)
    return {name: 4 * int(np.prod(shape_of(values[name]))) for name in plan.values}
