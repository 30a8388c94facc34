"""Each invariant of the canonical form, broken on purpose."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
import pytest

from edgekit.errors import GraphError
from edgekit.graph.passes import PASSES, canonicalize
from edgekit.graph.values import attribute
from edgekit.graph.verify import verify, verify_structure

MakeModel = Callable[..., ir.Model]

BODY = (
    "(float[1,3,8,8] x) => (float[1,2] y) "
    "{ a = Conv<strides=[2,2], pads=[1,1,1,1]>(x, w) b = Clip(a, low, high) "
    "p = MaxPool<kernel_shape=[2,2]>(b) g = GlobalAveragePool(p) f = Flatten(g) y = Gemm<transB=1>(f, v, c) }"
)


@pytest.fixture
def model(make_model: MakeModel) -> ir.Model:
    model = make_model(
        BODY,
        w=np.zeros((4, 3, 3, 3)),
        low=np.float32(0),
        high=np.float32(6),
        v=np.zeros((2, 4)),
        c=np.zeros(2),
    )
    canonicalize(model)
    return model


def node(model: ir.Model, op: str) -> ir.Node:
    return next(node for node in model.graph if node.op_type == op)


def test_a_canonical_graph_passes_and_does_not_change(model: ir.Model) -> None:
    verify(model)
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    canonicalize(model)
    assert ir.to_proto(model).SerializeToString(deterministic=True) == before


def unset_shape(model: ir.Model) -> None:
    node(model, "Conv").outputs[0].shape = None


def symbolic_shape(model: ir.Model) -> None:
    node(model, "Conv").outputs[0].shape = ir.Shape(["n", 4, 4, 4])


def unset_dtype(model: ir.Model) -> None:
    node(model, "Conv").outputs[0].type = None


def disorder(model: ir.Model) -> None:
    first, last = node(model, "Conv"), node(model, "Gemm")
    model.graph.remove(first)
    model.graph.insert_after(last, first)


def repeat_value_name(model: ir.Model) -> None:
    node(model, "Conv").outputs[0].name = node(model, "Clip").outputs[0].name


def foreign_domain(model: ir.Model) -> None:
    node(model, "Clip").domain = "com.example"


def drop_output(model: ir.Model) -> None:
    model.graph.outputs[0] = ir.val("logits", ir.DataType.FLOAT, [1, 2])


def other_opset(model: ir.Model) -> None:
    model.graph.opset_imports[""] = 20


def batch_of_two(model: ir.Model) -> None:
    model.graph.inputs[0].shape = ir.Shape([2, 3, 8, 8])


def integer_input(model: ir.Model) -> None:
    model.graph.inputs[0].type = ir.TensorType(ir.DataType.UINT8)


def other_input_name(model: ir.Model) -> None:
    model.graph.inputs[0].name = "x"


def unknown_operator(model: ir.Model) -> None:
    node(model, "Clip").op_type = "Det"


def identity(model: ir.Model) -> None:
    node(model, "GlobalAveragePool").op_type = "Identity"


def no_bias(model: ir.Model) -> None:
    node(model, "Conv").resize_inputs(2)


def implicit_strides(model: ir.Model) -> None:
    node(model, "Conv").attributes.pop("strides")


def auto_pad(model: ir.Model) -> None:
    node(model, "Conv").attributes.add(attribute("auto_pad", "VALID"))


def ceil_mode(model: ir.Model) -> None:
    node(model, "MaxPool").attributes.add(attribute("ceil_mode", 1))


def alpha(model: ir.Model) -> None:
    node(model, "Gemm").attributes.add(attribute("alpha", 2.0))


def not_transposed(model: ir.Model) -> None:
    node(model, "Gemm").attributes.pop("transB")


def vector_bound(model: ir.Model) -> None:
    bound = node(model, "Clip").inputs[1]
    assert bound is not None
    bound.const_value = ir.Tensor(np.zeros(1, np.float32), name=bound.name)


def other_axis(model: ir.Model) -> None:
    node(model, "Flatten").attributes.add(attribute("axis", 0))


def repeat_node_name(model: ir.Model) -> None:
    node(model, "Gemm").name = node(model, "Conv").name


def rename_output(model: ir.Model) -> None:
    node(model, "Conv").outputs[0].name = "other"


STRUCTURAL = [
    (unset_shape, "Conv"),
    (symbolic_shape, "Conv"),
    (unset_dtype, "Conv"),
    (disorder, "before it is defined"),
    (repeat_value_name, "two values are named"),
    (foreign_domain, "com.example"),
    (drop_output, "not computed"),
]
CANONICAL = [
    (other_opset, "opset is 20"),
    (batch_of_two, "batch dimension of 1"),
    (integer_input, "expected float32"),
    (other_input_name, "named 'x'"),
    (unknown_operator, "Det"),
    (identity, "identities are removed"),
    (no_bias, "constant bias"),
    (implicit_strides, "strides"),
    (auto_pad, "never auto_pad"),
    (ceil_mode, "ceil_mode"),
    (alpha, "alpha"),
    (not_transposed, "transB"),
    (vector_bound, "scalar initializers"),
    (other_axis, "axis is 1"),
    (repeat_node_name, "unique"),
    (rename_output, "named 'other'"),
]


@pytest.mark.parametrize(("break_it", "message"), STRUCTURAL + CANONICAL)
def test_broken_invariant_is_named(
    model: ir.Model, break_it: Callable[[ir.Model], None], message: str
) -> None:
    break_it(model)
    with pytest.raises(GraphError, match=message):
        verify(model)


@pytest.mark.parametrize(("break_it", "message"), STRUCTURAL)
def test_broken_structure_is_named(
    model: ir.Model, break_it: Callable[[ir.Model], None], message: str
) -> None:
    break_it(model)
    with pytest.raises(GraphError, match=message):
        verify_structure(model)


def test_a_broken_pass_is_named(make_model: MakeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def clumsy(model: ir.Model) -> bool:
        model.graph[0].outputs[0].shape = None
        return True

    monkeypatch.setattr("edgekit.graph.passes.PASSES", (*PASSES, clumsy))
    with pytest.raises(GraphError, match="after pass clumsy"):
        canonicalize(make_model("(float[1,3] x) => (float[1,3] y) { y = Relu(x) }"))
