"""Small graphs from ONNX's text format, and onnxruntime's own answer to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import onnxruntime
import pytest

from edgekit.graph.values import shape_of

FloatArray = npt.NDArray[np.float32]
MakeModel = Callable[..., ir.Model]
Run = Callable[[ir.Model, Mapping[str, FloatArray]], list[FloatArray]]
Canonical = Callable[..., ir.Model]


@pytest.fixture
def make_model() -> MakeModel:
    """Parse ``(inputs) => (outputs) {nodes}`` in ONNX's text format; arrays are the constants it names."""

    def make(body: str, **constants: npt.ArrayLike) -> ir.Model:
        model = ir.from_onnx_text(f'<ir_version: 8, opset_import: ["": 18]> network {body}')
        for value in list(_free_values(model.graph)):
            assert value.name is not None
            array = np.asarray(constants[value.name])
            array = array.astype(np.float32) if array.dtype.kind == "f" else array
            value.const_value = ir.Tensor(array, name=value.name)
            value.shape = ir.Shape(array.shape)
            value.type = ir.TensorType(value.const_value.dtype)
            model.graph.register_initializer(value)
        for output in (output for node in model.graph for output in node.outputs):
            output.shape = None  # shapes are for the passes to infer
        return model

    return make


def _free_values(graph: ir.Graph) -> list[ir.Value]:
    """Values that nodes read and nothing defines."""
    defined = {id(v) for v in graph.inputs} | {id(v) for node in graph for v in node.outputs}
    free = {id(v): v for node in graph for v in node.inputs if v is not None and id(v) not in defined}
    return [value for value in free.values() if value.const_value is None]


@pytest.fixture
def run() -> Run:
    """Outputs of a model as onnxruntime computes them without optimizing."""

    def compute(model: ir.Model, feeds: Mapping[str, FloatArray]) -> list[FloatArray]:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString(), options)
        results: list[FloatArray] = session.run(None, dict(feeds))
        return results

    return compute


@pytest.fixture
def canonical(make_model: MakeModel, run: Run) -> Canonical:
    """A canonical model, held equal to the model it was made from on random images."""
    from edgekit.graph.passes import canonicalize

    def make(body: str, tolerance: float = 1e-5, **constants: Any) -> ir.Model:
        model = make_model(body, **constants)
        rng = np.random.default_rng(0)
        image = model.graph.inputs[0]
        x = (4 * rng.standard_normal(shape_of(image))).astype(np.float32)
        (expected,) = run(model, {str(image.name): x})
        canonicalize(model)
        (found,) = run(model, {str(model.graph.inputs[0].name): x})
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= tolerance * max(float(np.abs(expected).max()), 1e-6)
        return model

    return make
