"""What the fp32 network says to the images that the quantized one is corrected on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit.graph.ops import infer_types
from edgekit.graph.run import GraphRunner
from edgekit.graph.subgraph import values_by_name
from edgekit.graph.values import new_node, shape_of
from edgekit.quantize.arithmetic import FloatArray
from edgekit.quantize.parallel import in_order
from edgekit.quantize.plan import Plan

__all__ = ["Reference", "chunks", "run_all", "run_reference"]

_Number = TypeVar("_Number", bound=np.generic)

_CHUNK = 8  # images that go through a network at once


@dataclass(frozen=True)
class Reference:
    """Answers of the fp32 network over some images.

    ``means`` has the mean of each weighted layer's raw output, float32 ``[channels]``, by value name;
    ``logits`` is float32 ``[images, …]``.
    """

    means: Mapping[str, FloatArray]
    logits: FloatArray


def run_reference(model: ir.Model, plan: Plan, images: FloatArray) -> Reference:
    """Run a canonical fp32 graph on ``images``, float32 NCHW.

    Means over height and width are taken inside the graph, which therefore keeps no layer's output.
    """
    raws = [layer.raw for layer in plan.layers if layer.is_weighted]
    pooled, names = _with_means(model, raws)
    runner = GraphRunner(pooled, [*names, plan.output])
    sums = {name: np.zeros(1, np.float64) for name in names}
    logits = []
    for found in in_order(runner.run, chunks(images)):
        logits.append(found[plan.output])
        for name in names:
            sums[name] = sums[name] + found[name].reshape(len(logits[-1]), -1).sum(0, dtype=np.float64)
    means = {
        raw: (sums[name] / len(images)).astype(np.float32) for raw, name in zip(raws, names, strict=True)
    }
    return Reference(means, np.concatenate(logits))


def run_all(runner: GraphRunner, images: FloatArray) -> FloatArray:
    """The runner's first output for a whole batch."""
    return np.concatenate([next(iter(runner.run(part).values())) for part in chunks(images)])


def chunks(batch: npt.NDArray[_Number]) -> Iterator[npt.NDArray[_Number]]:
    """Consecutive parts of a batch, each small enough to go through a layer at once."""
    for start in range(0, len(batch), _CHUNK):
        yield batch[start : start + _CHUNK]


def _with_means(model: ir.Model, raws: Sequence[str]) -> tuple[ir.Model, list[str]]:
    """A copy of the graph with a pool behind each of the values, and the pools' names."""
    copy = model.clone()
    values = values_by_name(copy)
    names = []
    for raw in raws:
        if len(shape_of(values[raw])) == 2:
            names.append(raw)
            continue
        node = new_node("GlobalAveragePool", [values[raw]], None, {})
        node.name = node.outputs[0].name = f"{raw}.mean"
        copy.graph.append(node)
        infer_types(node)
        names.append(node.name)
    return copy, names
