"""Operators that passes rewrite: the same answers as onnxruntime's, in the form that lowerings know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx_ir as ir
import pytest

from edgekit.errors import UnsupportedError
from edgekit.graph.verify import verify

Canonical = Callable[..., ir.Model]
IMAGE = "(float[1,4,6,8] x) => (float[n,c,h,w] y)"


def normal(*shape: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def ops(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


CASES: dict[str, tuple[str, dict[str, Any], list[str]]] = {
    "celu": ("y = Celu<alpha=2.0>(x)", {}, ["Clip", "Mul", "Elu", "Mul", "Relu", "Add"]),
    "selu": ("y = Selu(x)", {}, ["Clip", "Elu", "Mul", "Relu", "Add", "Mul"]),
    "elu with a slope": ("y = Elu<alpha=0.5>(x)", {}, ["Clip", "Elu", "Mul", "Relu", "Add"]),
    "elu": ("y = Elu(x)", {}, ["Elu"]),
    "mish": ("y = Mish(x)", {}, ["Softplus", "Tanh", "Mul"]),
    "softsign": ("y = Softsign(x)", {}, ["Abs", "Add", "Div"]),
    "square": ("y = Pow(x, p)", {"p": np.float32(2)}, ["Mul"]),
    "integer exponent": ("y = Pow(x, p)", {"p": np.int64(4)}, ["Pow"]),
    "mean of three": ("y = Mean(x, x, x)", {}, ["Add", "Add", "Mul"]),
    "largest of three": ("a = Neg(x) b = Abs(x) y = Max(x, a, b)", {}, ["Neg", "Abs", "Max", "Max"]),
    "instance norm": (
        "y = InstanceNormalization(x, s, b)",
        {"s": normal(4), "b": normal(4)},
        ["GlobalAveragePool", "Sub", "Mul", "GlobalAveragePool", "Add", "Sqrt", "Div", "Mul", "Add"],
    ),
    "norm of rows": ("y = LpNormalization<axis=3>(x)", {}, ["Mul", "ReduceSum", "Sqrt", "Clip", "Div"]),
    "l1": ("y = ReduceL1(x, a)", {"a": [2]}, ["Abs", "ReduceSum"]),
    "logarithm of exponentials": (
        "y = ReduceLogSumExp(x, a)",
        {"a": [1]},
        ["ReduceMax", "Sub", "Exp", "ReduceSum", "Log", "Add"],
    ),
    "split": (
        "a, b = Split<axis=1>(x, l) y = Concat<axis=1>(b, a)",
        {"l": [1, 3]},
        ["Slice", "Slice", "Concat"],
    ),
    "gather of neighbours": ("y = Gather<axis=1>(x, i)", {"i": [1, 2]}, ["Slice"]),
    "gather from the back": ("y = Gather<axis=1>(x, i)", {"i": [-1, 0]}, ["Gather"]),
    "gather of a table": ("y = Gather<axis=3>(x, i)", {"i": [[5, 1], [0, 2]]}, ["Gather", "Reshape"]),
    "pixel shuffle by hand": (
        "a = Reshape(x, s) b = Transpose<perm=[0,1,4,2,5,3]>(a) y = Reshape(b, t)",
        {"s": [1, 1, 2, 2, 6, 8], "t": [1, 1, 12, 16]},
        ["Gather", "DepthToSpace"],
    ),
    "pixel shuffle of a convolution": (
        'c = Conv(x, w) y = DepthToSpace<blocksize=2, mode="CRD">(c)',
        {"w": normal(8, 4, 1, 1)},
        ["Conv", "DepthToSpace"],
    ),
    "pixel unshuffle by hand": (
        "a = Reshape(x, s) b = Transpose<perm=[0,1,3,5,2,4]>(a) y = Reshape(b, t)",
        {"s": [1, 4, 3, 2, 4, 2], "t": [1, 16, 3, 4]},
        ["SpaceToDepth", "Gather"],
    ),
    "gelu": (
        "a = Div(x, r) b = Erf(a) c = Add(b, o) d = Mul(x, c) y = Mul(d, h)",
        {"r": np.float32(2**0.5), "o": np.float32(1), "h": np.float32(0.5)},
        ["Gelu"],
    ),
    "gelu by tanh": (
        "a = Pow(x, t) b = Mul(a, k) c = Add(x, b) d = Mul(c, s) e = Tanh(d) f = Add(e, o) g = Mul(x, h) "
        "y = Mul(g, f)",
        {
            "t": np.float32(3),
            "k": np.float32(0.044715),
            "s": np.float32((2 / np.pi) ** 0.5),
            "o": np.float32(1),
            "h": np.float32(0.5),
        },
        ["Gelu"],
    ),
    "edge": ('y = Pad<mode="edge">(x, p)', {"p": [0, 0, 1, 2, 0, 0, 0, 3]}, ["Gather", "Gather"]),
    "cut": ("y = Pad(x, p)", {"p": [0, 0, -1, 1, 0, 0, 0, -2]}, ["Slice", "Pad"]),
    "linear over the last axis": (
        "a = MatMul(x, w) y = Add(a, b)",
        {"w": normal(8, 5), "b": normal(5)},
        ["Transpose", "Conv", "Transpose"],
    ),
    "block convolution": (
        "y = ConvTranspose<strides=[2,2]>(x, w)",
        {"w": normal(4, 3, 2, 2)},
        ["Conv", "DepthToSpace"],
    ),
    "grouped, dilated, transposed": (
        "y = ConvTranspose<strides=[2,1], dilations=[2,1], group=2, pads=[1,0,0,1]>(x, w)",
        {"w": normal(4, 3, 3, 2)},
        ["ConvTranspose"],
    ),
    "transpositions around what acts on numbers": (
        "a = Transpose<perm=[0,2,3,1]>(x) b = Sigmoid(a) c = Mul(b, k) y = Transpose<perm=[0,3,1,2]>(c)",
        {"k": normal(4)},
        ["Sigmoid", "Mul"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rewritten_operators_answer_the_same(canonical: Canonical, name: str) -> None:
    body, constants, wanted = CASES[name]
    model = canonical(f"{IMAGE} {{ {body} }}", tolerance=2e-5, **constants)
    assert ops(model) == wanted
    verify(model)


def test_a_graph_with_gelu_is_of_the_opset_that_brought_it(canonical: Canonical) -> None:
    body, constants, _ = CASES["gelu"]
    assert canonical(f"{IMAGE} {{ {body} }}", **constants).graph.opset_imports[""] == 20


@pytest.mark.parametrize("op", ["MaxPool<kernel_shape=[3]>(x)", "Conv<pads=[1,1]>(x, w)"])
def test_signals_are_images_of_height_one(canonical: Canonical, op: str) -> None:
    constants = {"w": normal(5, 4, 3)} if "w" in op else {}
    model = canonical(f"(float[1,4,9] x) => (float[n,c,l] y) {{ y = {op} }}", **constants)
    assert ops(model) == ["Reshape", op.split("(")[0].split("<")[0], "Reshape"]


def test_volumes_are_refused_by_name(canonical: Canonical) -> None:
    with pytest.raises(UnsupportedError, match="slides over 3 dimensions"):
        canonical("(float[1,2,5,5,5] x) => (float[n,c,d,h,w] y) { y = MaxPool<kernel_shape=[2,2,2]>(x) }")
