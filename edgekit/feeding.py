"""From images to the inputs of any network: other sizes, other shapes, and more than one.

A network with several inputs is handled as one with a single row that holds them all, so that calibration,
quantization and verification know of one input only; its files have their inputs back.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from edgekit.graph.ops import infer_types
from edgekit.graph.passes.remove_unused import remove_unused
from edgekit.graph.values import Shape, add_initializer, new_node, shape_of

__all__ = ["Feeding", "pack", "unpack"]

FloatArray = npt.NDArray[np.float32]

_MARK = "edgekit.input"


@dataclass(frozen=True)
class Feeding:
    """What each input of a network is fed, from one image at a time; ``shapes`` are NCHW."""

    names: tuple[str, ...]
    shapes: tuple[Shape, ...]

    @classmethod
    def of(cls, graph: ir.Graph) -> Feeding:
        """Of a network that is not packed."""
        return cls(
            tuple(value.name or "" for value in graph.inputs), tuple(shape_of(v) for v in graph.inputs)
        )

    @property
    def not_images(self) -> tuple[str, ...]:
        """Inputs that no image can be fed to; they get random numbers."""
        return tuple(
            name for name, shape in zip(self.names, self.shapes, strict=True) if not _is_image(shape)
        )

    def feed(self, batch: FloatArray) -> FloatArray:
        """The single input, or the packed row, for a normalized image ``[1, C, S, S]``."""
        parts = [self._part(batch, i, shape) for i, shape in enumerate(self.shapes)]
        return parts[0] if len(parts) == 1 else np.concatenate([part.reshape(1, -1) for part in parts], 1)

    def feed_all(self, batches: Iterable[FloatArray]) -> Iterator[FloatArray]:
        """The same for many images."""
        return map(self.feed, batches)

    def parts(self, fed: FloatArray) -> tuple[FloatArray, ...]:
        """What :meth:`feed` made, one array for each input."""
        if len(self.shapes) == 1:
            return (fed,)
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])[:-1]
        rows = np.split(fed.reshape(-1), ends)
        return tuple(row.reshape(shape) for row, shape in zip(rows, self.shapes, strict=True))

    def _part(self, batch: FloatArray, index: int, shape: Shape) -> FloatArray:
        if not _is_image(shape) or shape[1] != batch.shape[1]:
            # Seeded by the image, so that every pass over the same images feeds the same.
            random = np.random.default_rng([index, int(np.abs(batch).sum() * 1e3) % 2**32])
            return random.standard_normal(shape).astype(np.float32)
        # Another image for each input, as two cameras see: turned by quarters.
        turned = np.rot90(batch, index % 4, axes=(2, 3))
        rows, columns = _window(turned, shape)
        return np.ascontiguousarray(turned[:, :, rows, columns])


def _window(batch: FloatArray, shape: Shape) -> tuple[slice, slice]:
    """The middle of the image, of the input's height and width."""
    starts = [(have - want) // 2 for have, want in zip(batch.shape[2:], shape[2:], strict=True)]
    rows, columns = (slice(start, start + want) for start, want in zip(starts, shape[2:], strict=True))
    return rows, columns


def _is_image(shape: Shape) -> bool:
    return len(shape) == 4 and shape[1] in (1, 3)


def pack(model: ir.Model) -> ir.Model:
    """A copy whose inputs come out of one row, ``[1, numbers]``; the model itself if it has one input."""
    if len(model.graph.inputs) == 1:
        return model
    packed = model.clone()
    graph = packed.graph
    inputs = list(graph.inputs)
    row = ir.val("packed", ir.DataType.FLOAT, [1, sum(math.prod(shape_of(value)) for value in inputs)])
    graph.inputs.clear()
    graph.inputs.append(row)
    first, start = next(iter(graph)), 0
    for value in inputs:
        stop = start + math.prod(shape_of(value))
        _insert_part(graph, first, row, value, (start, stop))
        start = stop
    return packed


def _insert_part(
    graph: ir.Graph, before: ir.Node, row: ir.Value, value: ir.Value, bounds: tuple[int, int]
) -> None:
    name, shape = value.name or "", shape_of(value)
    numbers = {"starts": [bounds[0]], "ends": [bounds[1]], "axes": [1], "shape": list(shape)}
    constants = {
        key: add_initializer(graph, f"{name}.{key}", np.array(item, np.int64))
        for key, item in numbers.items()
    }
    value.name = f"{name}.given"
    steps: tuple[tuple[str, str, list[ir.Value]], ...] = (
        ("Slice", f"{name}.slice", [constants[key] for key in ("starts", "ends", "axes")]),
        ("Reshape", f"{name}.reshape", [constants["shape"]]),
        ("Clip", name, []),  # changes nothing, and lets each input have a scale of its own
    )
    source = row
    for op_type, node_name, inputs in steps:
        node = new_node(op_type, [source, *inputs], None, {_MARK: name} if op_type == "Clip" else {})
        node.name = node.outputs[0].name = node_name
        graph.insert_before(before, node)
        infer_types(node)
        source = node.outputs[0]
    value.replace_all_uses_with(source)


def unpack(model: ir.Model) -> ir.Model:
    """A copy of a packed network, quantized or not, with its own inputs; the model itself if it has them."""
    if not any(_MARK in node.metadata_props for node in model.graph):
        return model
    copy = model.clone()
    graph = copy.graph
    graph.inputs.clear()
    for node in list(graph):
        name = node.metadata_props.get(_MARK)
        if name is None:
            continue
        value = node.outputs[0]
        given = ir.val(name, ir.DataType.FLOAT, shape_of(value))
        value.name = f"{name}.packed"
        value.replace_all_uses_with(given)
        graph.inputs.append(given)
    remove_unused(copy)
    return copy
