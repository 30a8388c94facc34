"""The ONNX project's backend node tests as files that edgekit can be given.

The cases come with the onnx package. Their inputs have any shape and often carry weights, bounds or axes.
Here each becomes a model in the form that networks have: what is a parameter becomes a constant, the rest
comes in as one row of a batch of 1 that a ``Reshape`` brings into the case's shape.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from edgekit.capture import load_onnx
from edgekit.emit import EmitOptions, emit
from edgekit.errors import InputError, ModelFileError
from edgekit.runtimes.tflite import load

__all__ = ["NodeCase", "check", "node_cases"]

Array = npt.NDArray[Any]

# Operators all of whose float inputs are data; for the others, all inputs after the first are parameters.
_ALL_DATA = frozenset(
    ("Add", "Concat", "Div", "MatMul", "Max", "Mean", "Min", "Mul", "Pow", "Sub", "Sum", "Where", "Gemm")
)
_RTOL, _ATOL = 1e-3, 1e-5  # onnx's own runner takes rtol 1e-3 and atol 1e-7, which tolerates no rounding of 0


@dataclass(frozen=True)
class NodeCase:
    """One case: a model, what it is fed, and what it must answer."""

    name: str
    op_type: str
    model: onnx.ModelProto
    inputs: tuple[Array, ...]
    outputs: tuple[Array, ...]


def node_cases() -> Iterator[NodeCase]:
    """All cases of the installed onnx package, each with its first data set, that consist of tensors."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    for case in found:
        if case.model is None or not case.data_sets or not case.model.graph.node:
            continue
        inputs, outputs = case.data_sets[0]
        if all(isinstance(array, np.ndarray) for array in (*inputs, *outputs)):
            yield _wrapped(case, inputs, outputs)


def _wrapped(case: Any, inputs: Sequence[Array], outputs: Sequence[Array]) -> NodeCase:
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    graph, op_type = model.graph, _op_type(case)
    given = list(graph.input)
    del graph.input[:]
    fed, nodes = [], []
    for index, (value, array) in enumerate(zip(given, inputs, strict=False)):
        is_data = index == 0 or (op_type in _ALL_DATA and array.dtype == np.float32)
        if is_data and array.dtype == np.float32:
            row = f"{value.name}_row"
            graph.input.append(
                onnx.helper.make_tensor_value_info(row, onnx.TensorProto.FLOAT, [1, array.size])
            )
            shape = np.array(array.shape, np.int64)
            graph.initializer.append(onnx.numpy_helper.from_array(shape, f"{value.name}_shape"))
            nodes.append(onnx.helper.make_node("Reshape", [row, f"{value.name}_shape"], [value.name]))
            fed.append(array.reshape(1, -1))
        elif is_data:
            graph.input.append(value)
            fed.append(array)
        else:
            graph.initializer.append(onnx.numpy_helper.from_array(array, value.name))
    body = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *body])
    return NodeCase(case.name, op_type, model, tuple(fed), tuple(outputs))


def _op_type(case: Any) -> str:
    """The operator that the case is about: of an expanded function, the one it was."""
    if len(case.model.graph.node) == 1:
        return str(case.model.graph.node[0].op_type)
    return str(case.model.graph.node[0].name.split("_test_")[0] or case.model.graph.node[-1].op_type)


def check(case: NodeCase, folder: Path) -> bool:
    """Whether the case's TFLite file answers rightly. Raises what loading and lowering raise."""
    source, target = folder / "case.onnx", folder / "case.tflite"
    source.write_bytes(case.model.SerializeToString())
    graph = load_onnx(source)
    emitted = emit(graph, target, "tflite", EmitOptions())
    try:
        runner = load(target)
    except ModelFileError as exc:  # a file of ours that LiteRT does not take is a failure, not a refusal
        raise AssertionError(str(exc)) from exc
    if len(emitted.inputs) != len(case.inputs):
        raise InputError(f"{case.name} has {len(case.inputs)} inputs, its file {len(emitted.inputs)}")
    feeds = {spec.name: array for spec, array in zip(emitted.inputs, case.inputs, strict=True)}
    answers = runner.run_named(feeds)
    found = [
        answers[spec.name].transpose(0, 3, 1, 2) if spec.layout == "NHWC" else answers[spec.name]
        for spec in emitted.outputs
    ]
    return len(found) == len(case.outputs) and all(map(_is_same, found, case.outputs))


def _is_same(found: Array, wanted: Array) -> bool:
    return found.shape == wanted.shape and bool(
        np.allclose(
            found.astype(np.float64), wanted.astype(np.float64), rtol=_RTOL, atol=_ATOL, equal_nan=True
        )
    )
