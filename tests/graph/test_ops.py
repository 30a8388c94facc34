"""The operator table against the onnx package's own shape inference, and counts in closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnx.defs
import onnx.shape_inference
import onnx_ir as ir
import pytest

from edgekit.errors import UnsupportedError
from edgekit.graph.ops import (
    OPERATORS,
    OPSET,
    TRANSIENT,
    YOUNGER,
    infer_types,
    is_fusable,
    kind_of,
    macs_of,
    operator_of,
)

MakeModel = Callable[..., ir.Model]

IMAGE = "float[1,6,9,8] x"

# A call of every operator of the table, on the image x, with its constants.
CALLS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "Conv": [
        ("Conv(x, w)", {"w": np.zeros((4, 6, 3, 2))}),
        (
            "Conv<group=3, strides=[2,1], pads=[1,0,2,1], dilations=[2,1]>(x, w)",
            {"w": np.zeros((6, 2, 3, 3))},
        ),
        ('Conv<auto_pad="SAME_UPPER", strides=[2,2]>(x, w)', {"w": np.zeros((4, 6, 3, 3))}),
    ],
    "ConvTranspose": [
        (
            "ConvTranspose<group=2, strides=[2,3], pads=[1,0,1,1], output_padding=[1,0]>(x, w)",
            {"w": np.zeros((6, 4, 3, 3))},
        )
    ],
    "Gemm": [
        ("Gemm<transB=1>(f, w)", {"w": np.zeros((5, 432))}),
        ("Gemm<transA=1>(f, w)", {"w": np.zeros((1, 5))}),
    ],
    "MatMul": [("MatMul(x, w)", {"w": np.zeros((8, 5))}), ("MatMul(f, w)", {"w": np.zeros(432)})],
    "Clip": [("Clip(x, low, high)", {"low": np.float32(0), "high": np.float32(6)})],
    "PRelu": [("PRelu(x, w)", {"w": np.zeros((6, 1, 1))})],
    "LRN": [("LRN<size=5>(x)", {})],
    "MaxPool": [
        ("MaxPool<kernel_shape=[3,2]>(x)", {}),
        ("MaxPool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>(x)", {}),
        ("MaxPool<kernel_shape=[2,2], strides=[2,2], pads=[1,1,0,1], dilations=[2,1]>(x)", {}),
    ],
    "AveragePool": [("AveragePool<kernel_shape=[4,4], strides=[3,3], pads=[1,1,1,1]>(x)", {})],
    "Concat": [("Concat<axis=2>(x, x)", {}), ("Concat<axis=-3>(x, x)", {})],
    "Resize": [
        ('Resize<mode="nearest">(x, , scales)', {"scales": np.array([1, 1, 2.5, 2])}),
        ('Resize<mode="linear">(x, , , sizes)', {"sizes": np.array([1, 6, 20, 10])}),
    ],
    "Pad": [
        ("Pad(x, pads)", {"pads": np.array([0, 0, 1, 2, 0, 0, 3, 4])}),
        ("Pad(x, pads, value, axes)", {"pads": [1, 2], "value": np.float32(1), "axes": [-2]}),
    ],
    "Flatten": [("Flatten(x)", {}), ("Flatten<axis=-1>(x)", {}), ("Flatten<axis=0>(x)", {})],
    "Reshape": [
        ("Reshape(x, t)", {"t": np.array([0, 2, -1, 8])}),
        ("Reshape<allowzero=1>(x, t)", {"t": np.array([1, -1])}),
    ],
    "Squeeze": [("Squeeze(x, axes)", {"axes": np.array([0])})],
    "Unsqueeze": [("Unsqueeze(x, axes)", {"axes": np.array([0, 5])})],
    "Transpose": [("Transpose<perm=[0,2,3,1]>(x)", {}), ("Transpose(x)", {})],
    "Slice": [("Slice(x, b, e, a, s)", {"b": [1], "e": [7], "a": [2], "s": [2]})],
    "Split": [("Split<axis=1, num_outputs=1>(x)", {})],
    "Tile": [("Tile(x, r)", {"r": np.array([1, 2, 1, 3])})],
    "Gather": [("Gather<axis=1>(x, i)", {"i": np.array([3, 1])})],
    "DepthToSpace": [("DepthToSpace<blocksize=1>(x)", {})],
    "SpaceToDepth": [("SpaceToDepth<blocksize=1>(x)", {})],
    "Expand": [("Expand(x, t)", {"t": np.array([1, 6, 9, 8])})],
    "ArgMax": [("ArgMax<axis=1>(x)", {})],
    "QuantizeLinear": [("QuantizeLinear(x, s, z)", {"s": np.float32(1), "z": np.int8(0)})],
    "DequantizeLinear": [("DequantizeLinear(q, s, z)", {"s": np.float32(1), "z": np.int8(0)})],
}
for _op in ("Add", "Sub", "Mul", "Div", "Min", "Max", "Pow"):
    CALLS[_op] = [(f"{_op}(x, w)", {"w": np.ones((6, 1, 1))}), (f"{_op}(w, x)", {"w": np.ones((1, 1, 1, 8))})]
for _op in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"):
    CALLS[_op] = [(f"{_op}(x, w)", {"w": np.ones((6, 1, 1))})]
for _op in ("And", "Or"):
    CALLS[_op] = [(f"{_op}(t, w)", {"w": np.ones((6, 1, 1), np.bool_)})]
CALLS["Not"] = [("Not(t)", {})]
CALLS["Where"] = [
    ("Where(t, x, w)", {"w": np.ones((6, 1, 1))}),
    ("Where(t, w, x)", {"w": np.ones((1, 1, 1))}),
]
for _op in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum"):
    CALLS[_op] = [
        (f"{_op}<keepdims=0>(x, axes)", {"axes": np.array([2, -1])}),
        (f"{_op}(x, axes)", {"axes": np.array([1])}),
        (f"{_op}(x)", {}),
        (f"{_op}<noop_with_empty_axes=1>(x)", {}),
    ]
for _op in sorted({*OPERATORS} - {*CALLS}):
    CALLS[_op] = [(f"{_op}(x)", {})]


def model_of(make_model: MakeModel, call: str, constants: dict[str, Any]) -> ir.Model:
    """The call behind what it reads: ``f`` is x flattened, ``q`` is x quantized, ``t`` are truths."""
    befores = {"(f": "f = Flatten(x)", "(q": "q = QuantizeLinear(x, s, z)", "(t": "t = Greater(x, x)"}
    before = next((text for start, text in befores.items() if start in call), "")
    arrays = {name: np.asarray(array) for name, array in constants.items()}
    return make_model(f"({IMAGE}) => (float y) {{ {before} y = {call} }}", **arrays)


@pytest.mark.parametrize(
    ("call", "constants"), [pytest.param(*call, id=call[0]) for calls in CALLS.values() for call in calls]
)
def test_types_are_onnxs(make_model: MakeModel, call: str, constants: dict[str, Any]) -> None:
    model = model_of(make_model, call, constants)
    model.graph.opset_imports[""] = YOUNGER.get(call.split("(")[0], OPSET)
    for value in model.graph.outputs:
        value.type = None
    proto = onnx.shape_inference.infer_shapes(ir.to_proto(model), data_prop=True, strict_mode=True)
    expected = proto.graph.output[0].type.tensor_type
    for node in model.graph:
        infer_types(node)
    (found,) = model.graph.outputs
    assert found.shape is not None
    assert list(found.shape) == [dim.dim_value for dim in expected.shape.dim]
    assert found.dtype == expected.elem_type


def test_every_operator_is_called() -> None:
    assert {*CALLS} == {*OPERATORS}
    assert all(call.startswith(f"{op}") for op, calls in CALLS.items() for call, _ in calls)


@pytest.mark.parametrize("op", sorted({**OPERATORS, **TRANSIENT}))
def test_every_operator_is_in_the_opset(op: str) -> None:
    assert onnx.defs.get_schema(op, YOUNGER.get(op, OPSET)).name == op


def test_tables_do_not_overlap() -> None:
    assert not set(OPERATORS) & set(TRANSIENT)


def node_of(make_model: MakeModel, image: str, call: str, **constants: Any) -> ir.Node:
    (node,) = make_model(f"({image}) => (float y) {{ y = {call} }}", **constants).graph
    infer_types(node)
    return node


def test_macs_of_alexnets_first_layer(make_model: MakeModel) -> None:
    """The CS231n lecture notes: 64 × 56 × 56 outputs of 3 × 11 × 11 products, 72.9 M."""
    node = node_of(
        make_model,
        "float[1,3,227,227] x",
        "Conv<strides=[4,4], pads=[2,2,2,2]>(x, w)",
        w=np.zeros((64, 3, 11, 11)),
    )
    assert macs_of(node) == 64 * 56 * 56 * 3 * 11 * 11
    assert round(macs_of(node) / 1e6, 1) == 72.9


def test_macs_of_other_layers(make_model: MakeModel) -> None:
    depthwise = node_of(make_model, IMAGE, "Conv<group=6>(x, w)", w=np.zeros((6, 1, 3, 3)))
    assert macs_of(depthwise) == 6 * 7 * 6 * 9
    transposed = node_of(make_model, IMAGE, "ConvTranspose<strides=[2,2]>(x, w)", w=np.zeros((6, 4, 2, 2)))
    assert macs_of(transposed) == 6 * 9 * 8 * 4 * 2 * 2
    linear = node_of(make_model, "float[1,30] x", "Gemm<transB=1>(x, w)", w=np.zeros((7, 30)))
    assert macs_of(linear) == 7 * 30
    assert macs_of(node_of(make_model, IMAGE, "Relu(x)")) == 0


def test_kinds(make_model: MakeModel) -> None:
    def conv(group: int, out: int) -> ir.Node:
        return node_of(make_model, IMAGE, f"Conv<group={group}>(x, w)", w=np.zeros((out, 6 // group, 1, 1)))

    assert [kind_of(node) for node in (conv(1, 6), conv(2, 6), conv(6, 6), conv(6, 12))] == [
        "conv",
        "conv",
        "depthwise",
        "depthwise",
    ]
    assert [is_fusable(node_of(make_model, IMAGE, call)) for call in ("Relu(x)", "Sigmoid(x)")] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("call", "constants", "message"),
    [
        ("Conv(x, w)", {"w": np.zeros((4, 6, 10, 3))}, "smaller than kernel"),
        ("Conv(x, w)", {"w": np.zeros((4, 5, 3, 3))}, "does not fit weight"),
        ("MaxPool<kernel_shape=[10,2]>(x)", {}, "smaller than kernel"),
        ("MaxPool<kernel_shape=[2]>(x)", {}, "does not fit input"),
        ("Add(x, w)", {"w": np.zeros((5, 1, 1))}, "cannot broadcast"),
        ("Reshape(x, t)", {"t": np.array([7, -1])}, "cannot reshape"),
        ("Reshape(x, t)", {"t": np.array([0, 0, 0, 0, 0])}, "cannot reshape"),
        ("Transpose<perm=[0,1]>(x)", {}, "does not fit input"),
        ("MatMul(x, w)", {"w": np.zeros((9, 5))}, "differ"),
        ("Gemm(x, w)", {"w": np.zeros((9, 5))}, "two matrices"),
        ("Pad(x, pads)", {"pads": np.array([1, 1])}, "do not fit"),
    ],
)
def test_what_does_not_fit_is_refused(
    make_model: MakeModel, call: str, constants: dict[str, Any], message: str
) -> None:
    with pytest.raises(UnsupportedError, match=message):
        node_of(make_model, IMAGE, call, **constants)


def test_an_unknown_operator_is_named(make_model: MakeModel) -> None:
    (node,) = make_model(f"({IMAGE}) => (float y) {{ y = Det(x) }}").graph
    node.name = "odd"
    with pytest.raises(UnsupportedError, match="Det of node 'odd'"):
        operator_of(node)
