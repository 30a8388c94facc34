"""Splits that exporters write as sequences: ``SplitToSequence`` and ``SequenceAt`` become ``Split``."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgekit.graph.values import Array, array_of

__all__ = ["replace_sequences"]


def replace_sequences(model: ir.Model) -> bool:
    """Rewrite sequences that are read by constant positions only; others stay, and are refused by name."""
    modified = False
    for node in list(model.graph):
        if node.op_type == "SplitToSequence":
            modified |= _replace(model.graph, node)
    return modified


def _replace(graph: ir.Graph, node: ir.Node) -> bool:
    readers = [use.node for use in node.outputs[0].uses()]
    if not node.attributes.get_int("keepdims", 1) or any(one.op_type != "SequenceAt" for one in readers):
        return False
    positions = [_constant(one.inputs[1]) for one in readers]
    lengths = _lengths(node)
    if lengths is None or any(position is None or position.size != 1 for position in positions):
        return False
    split = ir.val(f"{node.name}.lengths", const_value=ir.tensor(np.array(lengths, np.int64)))
    split.name = f"{node.outputs[0].name}.lengths"
    graph.register_initializer(split)
    axis = ir.AttrInt64("axis", node.attributes.get_int("axis", 0))
    parts = ir.Node("", "Split", [node.inputs[0], split], [axis], num_outputs=len(lengths), name=node.name)
    for i, output in enumerate(parts.outputs):
        output.name = f"{node.outputs[0].name}.{i}"
    parts.metadata_props.update(node.metadata_props)
    graph.insert_before(node, parts)
    for reader, position in zip(readers, positions, strict=True):
        assert position is not None
        part = parts.outputs[int(position.reshape(-1)[0])]
        ir.convenience.replace_all_uses_with(reader.outputs[0], part, replace_graph_outputs=True)
        graph.remove(reader, safe=True)
    graph.remove(node, safe=True)
    return True


def _lengths(node: ir.Node) -> list[int] | None:
    """Lengths of the parts, where they are known."""
    split = _constant(node.inputs[1]) if len(node.inputs) > 1 else None
    if split is None:
        return None
    if split.ndim:
        return [int(item) for item in split]
    shape, axis = (
        (node.inputs[0].shape if node.inputs[0] is not None else None),
        node.attributes.get_int("axis", 0),
    )
    size = None if shape is None else shape[axis]
    if not isinstance(size, int) or int(split) < 1:
        return None
    return [min(int(split), size - start) for start in range(0, size, int(split))]


def _constant(value: ir.Value | None) -> Array | None:
    producer = value.producer() if value is not None else None
    if producer is None or producer.op_type != "Constant":
        return array_of(value)
    tensor = producer.attributes.get("value")
    if tensor is not None:
        return tensor.as_tensor().numpy()
    for name in ("value_int", "value_ints"):
        if name in producer.attributes:
            return np.asarray(producer.attributes[name].value, np.int64)
    return None
