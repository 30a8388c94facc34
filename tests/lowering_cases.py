"""The operators that TFLite files are tested with, one small graph for each form of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["CASES", "RESIZE", "Build", "Case", "on_input", "pool"]

Build = Callable[[Any, Any], Any]

EXACT_SHARE = 0.95  # of int8 answers; the others may be one step off


@dataclass(frozen=True)
class Case:
    """One graph of one or few operators, and what the file must consist of."""

    build: Build
    operators: tuple[str, ...]
    shape: tuple[int, int, int, int] = (1, 3, 17, 17)
    # int8 operators without an XNNPACK kernel, and float ones
    not_delegated: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ("fp32", "int8")
    exact_share: float = EXACT_SHARE
    most_steps: int = 1  # that an int8 answer may be off
    int8_operators: tuple[str, ...] | None = field(default=None)


def squeeze_excite(b: Any, x: Any) -> Any:
    x = b.op("Relu", b.conv(x, 8))
    gate = b.op("GlobalAveragePool", x)
    gate = b.op("Relu", b.conv(gate, 4, 1))
    return b.op("Mul", x, b.op("Sigmoid", b.conv(gate, 8, 1)))


def silu(b: Any, x: Any) -> Any:
    y = b.conv(x, 8)
    return b.op("Mul", y, b.op("Sigmoid", y))


def shuffle(b: Any, x: Any, conv: bool = True, groups: int = 2) -> Any:
    x = b.conv(x, 8) if conv else x
    _, channels, height, width = x.shape.numpy()
    x = b.op("Reshape", x, np.asarray([1, groups, channels // groups, height, width]))
    x = b.op("Transpose", x, perm=[0, 2, 1, 3, 4])
    return b.op("Reshape", x, np.asarray([1, channels, height, width]))


def transposed(kernel: int, stride: int, pads: int = 0, extra: int = 0) -> Build:
    def build(b: Any, x: Any) -> Any:
        weight = b.normal(x.shape.numpy()[1], 4, kernel, kernel, scale=0.3)
        sizes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pads] * 4}
        return b.op(
            "ConvTranspose",
            x,
            weight,
            b.normal(4),
            **sizes,
            output_padding=[extra] * 2,
            dilations=[1, 1],
            group=1,
        )

    return build


def pool(kind: str, kernel: int, stride: int, pads: int = 0, **more: int) -> Build:
    def build(b: Any, x: Any) -> Any:
        sizes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pads] * 4}
        return b.op(kind, x, **sizes, **more)

    return build


def two(op: str, **attributes: int) -> Build:
    return lambda b, x: b.op(op, b.conv(x, 8), b.conv(x, 8), **attributes)


def choice(op: str) -> Build:
    return lambda b, x: b.op("Where", b.op(op, x, b.op("Neg", x)), x, np.asarray(0.5, np.float32))


def logic(op: str) -> Build:
    def build(b: Any, x: Any) -> Any:
        inside = b.op(op, b.op("Greater", x, b.normal(3, 1, 1)), b.op("Less", x, b.normal(17)))
        return b.op("Where", inside, x, b.normal(3, 1, 1))

    return build


def after_conv(op: str, *constants: Any, **attributes: Any) -> Build:
    return lambda b, x: b.op(op, b.conv(x, 8), *constants, **attributes)


def on_input(op: str, *constants: Any, **attributes: Any) -> Build:
    return lambda b, x: b.op(op, x, *constants, **attributes)


def classifier(b: Any, x: Any) -> Any:
    return b.gemm(b.op("Flatten", x, axis=1), 10)


def global_classifier(b: Any, x: Any) -> Any:
    return classifier(b, b.op("GlobalAveragePool", x))


CONV, DW, FC = "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"
SMALL = (1, 8, 4, 4)
EVEN = (1, 3, 16, 16)
RESIZE = (np.zeros(0, np.float32), np.asarray([1, 1, 2, 2], np.float32))

POOL = "AVERAGE_POOL_2D"
LRN = "LOCAL_RESPONSE_NORMALIZATION"
DECONV = "TRANSPOSE_CONV"

FUNCTIONS: tuple[tuple[str, tuple[str, ...], dict[str, Any]], ...] = (
    *(
        (op, (op.upper(),), {})
        for op in ("Abs", "Ceil", "Cos", "Exp", "Floor", "Neg", "Round", "Sign", "Sin")
    ),
    (
        "Erf",
        ("ABS", "ADD", "DIV", *("MUL", "ADD") * 4, *("MUL",) * 5, "NEG", "EXP", "SUB", "SIGN"),
        {},
    ),
    ("LogSoftmax", ("LOG_SOFTMAX",), {"axis": 1}),
    ("Softplus", ("ABS", "NEG", "EXP", "ADD", "LOG", "MAXIMUM", "ADD"), {}),
)

CASES: dict[str, Case] = {
    **{
        op: Case(
            choice(op), ("NEG", code, "SELECT_V2"), precisions=("fp32",), not_delegated=(code, "SELECT_V2")
        )
        for op, code in (
            ("Equal", "EQUAL"),
            ("Greater", "GREATER"),
            ("GreaterOrEqual", "GREATER_EQUAL"),
            ("Less", "LESS"),
            ("LessOrEqual", "LESS_EQUAL"),
        )
    },
    **{
        op: Case(
            logic(op),
            ("GREATER", "LESS", f"LOGICAL_{op.upper()}", "SELECT_V2"),
            precisions=("fp32",),
            not_delegated=("GREATER", "LESS", f"LOGICAL_{op.upper()}", "SELECT_V2"),
        )
        for op in ("And", "Or")
    },
    "Not": Case(
        lambda b, x: b.op("Where", b.op("Not", b.op("Greater", x, b.normal(3, 1, 1))), x, b.op("Neg", x)),
        ("GREATER", "LOGICAL_NOT", "NEG", "SELECT_V2"),
        precisions=("fp32",),
        not_delegated=("GREATER", "LOGICAL_NOT", "SELECT_V2"),
    ),
    "Where": Case(
        lambda b, x: b.op(
            "Where", b.op("Greater", x, np.asarray(0, np.float32)), b.conv(x, 3, pads=[1] * 4), x
        ),
        (CONV, "GREATER", "SELECT_V2"),
        precisions=("fp32",),
        not_delegated=("GREATER", "SELECT_V2"),
    ),
    "Log": Case(
        lambda b, x: b.op("Log", b.op("Sigmoid", x)),
        ("LOGISTIC", "LOG"),
        precisions=("fp32",),
        not_delegated=("LOG",),
    ),
    "Sqrt": Case(lambda b, x: b.op("Sqrt", b.op("Sigmoid", x)), ("LOGISTIC", "SQRT"), precisions=("fp32",)),
    "Reciprocal": Case(
        lambda b, x: b.op("Reciprocal", b.op("Sigmoid", x)), ("LOGISTIC", "DIV"), precisions=("fp32",)
    ),
    "ConvTranspose": Case(transposed(2, 2), (DECONV,), SMALL, precisions=("fp32",)),
    "ConvTranspose, same": Case(transposed(4, 2, 1), (DECONV,), SMALL, precisions=("fp32",)),
    "ConvTranspose, cut": Case(transposed(3, 2, 1, 1), (DECONV, "SLICE"), SMALL, precisions=("fp32",)),
    "ConvTranspose, Relu": Case(
        lambda b, x: b.op("Relu", transposed(3, 1)(b, x)), (DECONV,), SMALL, precisions=("fp32",)
    ),
    "Add": Case(two("Add"), (CONV, CONV, "ADD")),
    "Add, fused Relu": Case(lambda b, x: b.op("Relu", two("Add")(b, x)), (CONV, CONV, "ADD")),
    "Add, scalar": Case(on_input("Add", np.float32(0.5)), ("ADD",)),
    "AveragePool": Case(pool("AveragePool", 2, 2), (POOL,), EVEN, int8_operators=(DW,), exact_share=0.8),
    "AveragePool, same": Case(
        pool("AveragePool", 3, 1, 1), (POOL,), int8_operators=(DW, "MUL"), exact_share=0.8, most_steps=2
    ),
    "AveragePool, padded": Case(
        pool("AveragePool", 3, 2, 1),
        ("PAD", POOL, "MUL"),
        EVEN,
        int8_operators=("PAD", DW, "MUL"),
        exact_share=0.8,
        most_steps=2,
    ),
    "AveragePool, padding counts": Case(
        pool("AveragePool", 3, 2, 1, count_include_pad=1), ("PAD", POOL), int8_operators=(DW,)
    ),
    "AveragePool, every second pixel": Case(pool("AveragePool", 1, 2), (DW,)),
    "Clip, fused ReLU6": Case(lambda b, x: b.relu6(b.conv(x, 8)), (CONV,)),
    "Clip, fused to [-1, 1]": Case(after_conv("Clip", np.float32(-1), np.float32(1)), (CONV,)),
    "Clip, odd bounds": Case(
        after_conv("Clip", np.float32(-0.5), np.float32(0.7)),
        (CONV, "MINIMUM", "MAXIMUM"),
        int8_operators=(CONV,),
    ),
    "Clip, ReLU6 alone": Case(
        lambda b, x: b.relu6(two("Concat", axis=1)(b, x)),
        (CONV, CONV, "CONCATENATION", "RELU6"),
        int8_operators=(CONV, CONV, "CONCATENATION", "QUANTIZE"),
    ),
    "Concat": Case(two("Concat", axis=1), (CONV, CONV, "CONCATENATION")),
    "Concat, height": Case(two("Concat", axis=-2), (CONV, CONV, "CONCATENATION")),
    "Conv": Case(lambda b, x: b.conv(x, 8), (CONV,)),
    "Conv, kernel 5 × 3": Case(lambda b, x: b.conv(x, 8, (5, 3), pads=(2, 1, 2, 1)), (CONV,)),
    "Conv, grouped": Case(lambda b, x: b.conv(x, 8, group=2), (CONV,), SMALL),
    "Conv, depthwise": Case(lambda b, x: b.conv(x, 8, pads=(1, 1, 1, 1), group=8), (DW,), SMALL),
    "Conv, depth multiplier": Case(lambda b, x: b.conv(x, 16, group=8), (DW,), SMALL),
    "Conv, depthwise dilated": Case(
        lambda b, x: b.conv(x, 8, pads=(2, 2, 2, 2), group=8, dilation=2), (DW,), (1, 8, 9, 9)
    ),
    **{
        f"{op}, alone": Case(on_input(op, **more), codes, precisions=("fp32",), not_delegated=codes)
        for op, codes, more in FUNCTIONS
    },
    "DepthToSpace": Case(
        lambda b, x: b.op("DepthToSpace", b.conv(x, 8), blocksize=2), (CONV, "DEPTH_TO_SPACE")
    ),
    "Div": Case(
        lambda b, x: b.op("Div", b.conv(x, 8), b.op("Sigmoid", b.conv(x, 8))),
        (CONV, CONV, "LOGISTIC", "DIV"),
        precisions=("fp32",),
    ),
    "Elu": Case(after_conv("Elu"), (CONV, "ELU"), not_delegated=("ELU",)),
    "Expand": Case(
        lambda b, x: b.op("Expand", b.op("GlobalAveragePool", x), np.asarray([1, 3, 5, 5])),
        ("MEAN", "BROADCAST_TO"),
        not_delegated=("BROADCAST_TO",),
    ),
    "Flatten, one pixel": Case(
        lambda b, x: b.op("Flatten", b.op("GlobalAveragePool", x), axis=1), ("MEAN", "RESHAPE")
    ),
    "Flatten, without classifier": Case(on_input("Flatten", axis=1), ("TRANSPOSE", "RESHAPE"), SMALL),
    "Gemm, of pixels": Case(classifier, ("RESHAPE", FC), SMALL),
    "Gemm, of a mean": Case(global_classifier, ("MEAN", FC), SMALL),
    "Gemm, fused Relu": Case(
        lambda b, x: b.gemm(b.op("Relu", classifier(b, x)), 5), ("RESHAPE", FC, FC), SMALL
    ),
    "Gather": Case(
        on_input("Gather", np.asarray([2, 0, 2, 1]), axis=1), ("GATHER",), not_delegated=("GATHER",)
    ),
    "GlobalMaxPool": Case(on_input("GlobalMaxPool"), ("REDUCE_MAX",), not_delegated=("REDUCE_MAX",)),
    "GlobalAveragePool": Case(on_input("GlobalAveragePool"), ("MEAN",)),
    "HardSigmoid": Case(after_conv("HardSigmoid", alpha=1 / 6, beta=0.5), (CONV, "ADD", "MUL")),
    "HardSwish": Case(
        after_conv("HardSwish"),
        (CONV, "HARD_SWISH"),
        int8_operators=(CONV, "MUL", "ADD", "MUL"),
        exact_share=0.8,
    ),
    "LRN": Case(
        after_conv("LRN", size=5, alpha=1e-2, beta=0.75, bias=2.0),
        (CONV, LRN),
        precisions=("fp32",),
        not_delegated=(LRN,),
    ),
    "LayerNormalization": Case(
        lambda b, x: b.op("LayerNormalization", x, b.normal(17), b.normal(17), axis=-1),
        ("MEAN", "SUB", "MUL", "MEAN", "ADD", "RSQRT", "MUL", "MUL", "ADD"),
        precisions=("fp32",),
        not_delegated=("MEAN",),
    ),
    "LeakyRelu": Case(after_conv("LeakyRelu", alpha=0.1), (CONV, "LEAKY_RELU")),
    "MatMul": Case(
        lambda b, x: b.op("MatMul", x, b.op("Transpose", x, perm=[0, 1, 3, 2])),
        ("TRANSPOSE", "TRANSPOSE", "BATCH_MATMUL"),
        precisions=("fp32",),
        not_delegated=("TRANSPOSE", "BATCH_MATMUL"),
    ),
    "Max": Case(two("Max"), (CONV, CONV, "MAXIMUM"), precisions=("fp32",)),
    "Min": Case(two("Min"), (CONV, CONV, "MINIMUM"), precisions=("fp32",)),
    "MaxPool": Case(pool("MaxPool", 3, 2), ("MAX_POOL_2D",)),
    "MaxPool, same": Case(pool("MaxPool", 3, 2, 1), ("MAX_POOL_2D",)),
    "MaxPool, rounded up": Case(pool("MaxPool", 3, 2, ceil_mode=1), ("MAX_POOL_2D",), EVEN),
    "MaxPool, padded": Case(pool("MaxPool", 3, 2, 1), (*("SLICE", "CONCATENATION") * 2, "MAX_POOL_2D"), EVEN),
    "MaxPool, padded after Relu": Case(
        lambda b, x: pool("MaxPool", 3, 2, 1)(b, b.op("Relu", b.conv(x, 4))),
        (CONV, "PAD", "MAX_POOL_2D"),
        (1, 3, 18, 18),
    ),
    "MaxPool, dilated": Case(
        lambda b, x: b.op(
            "MaxPool",
            b.conv(x, 4),
            kernel_shape=[2, 3],
            strides=[2, 1],
            pads=[1, 2, 0, 2],
            dilations=[3, 2],
        ),
        (CONV, "PADV2", *("STRIDED_SLICE",) * 5, *("MAXIMUM",) * 3),
        not_delegated=("PADV2", *("STRIDED_SLICE",) * 5, *("MAXIMUM",) * 3),
    ),
    "MaxPool, then Relu": Case(
        lambda b, x: b.op("Relu", pool("MaxPool", 3, 2)(b, b.conv(x, 4))),
        (CONV, "MAX_POOL_2D"),
        int8_operators=(CONV, "MAX_POOL_2D", "QUANTIZE"),
        exact_share=0.85,  # rounded twice: to the pool's scale and to the activation's
    ),
    "Mul": Case(two("Mul"), (CONV, CONV, "MUL")),
    "Mul, per channel": Case(
        on_input("Mul", np.linspace(-1, 1, 3, dtype=np.float32).reshape(3, 1, 1)), ("MUL",)
    ),
    "PRelu": Case(
        lambda b, x: b.op("PRelu", b.conv(x, 8), b.normal(8, 1, 1)), (CONV, "PRELU"), precisions=("fp32",)
    ),
    "Pow": Case(
        lambda b, x: b.op("Pow", b.op("Sigmoid", x), np.float32(1.5)),
        ("LOGISTIC", "POW"),
        precisions=("fp32",),
        not_delegated=("POW",),
    ),
    "Pad, number": Case(
        on_input("Pad", np.asarray([0, 0, 1, 2, 0, 0, 3, 4]), np.float32(0.5)),
        ("PADV2",),
        not_delegated=("PADV2",),
    ),
    "Pad, reflected": Case(
        on_input("Pad", np.asarray([0, 0, 1, 2, 0, 0, 3, 4]), mode="reflect"),
        ("MIRROR_PAD",),
        not_delegated=("MIRROR_PAD",),
    ),
    "Pad": Case(on_input("Pad", np.asarray([0, 0, 1, 2, 0, 0, 3, 4])), ("PAD",)),
    "ReduceMean": Case(on_input("ReduceMean", np.asarray([2, 3]), keepdims=0), ("MEAN",)),
    "ReduceMean, channels": Case(
        on_input("ReduceMean", np.asarray([1]), keepdims=1), ("MEAN",), not_delegated=("MEAN",)
    ),
    **{
        f"{op}, alone": Case(
            on_input(op, np.asarray([1, 3]), keepdims=0), (code,), precisions=("fp32",), not_delegated=(code,)
        )
        for op, code in (("ReduceSum", "SUM"), ("ReduceProd", "REDUCE_PROD"))
    },
    **{
        f"{op}, alone": Case(on_input(op, np.asarray([1, 3]), keepdims=0), (code,), not_delegated=(code,))
        for op, code in (("ReduceMax", "REDUCE_MAX"), ("ReduceMin", "REDUCE_MIN"))
    },
    "Relu, fused": Case(after_conv("Relu"), (CONV,)),
    "Relu, alone": Case(
        lambda b, x: b.op("Relu", two("Concat", axis=1)(b, x)),
        (CONV, CONV, "CONCATENATION", "RELU"),
        int8_operators=(CONV, CONV, "CONCATENATION", "QUANTIZE"),
    ),
    "Reshape": Case(
        lambda b, x: b.op("Reshape", classifier(b, x), np.asarray([1, 2, 5])),
        ("RESHAPE", FC, "RESHAPE"),
        SMALL,
    ),
    "Reshape, channels and pixels": Case(
        on_input("Reshape", np.asarray([1, 9, 16, 16])), ("TRANSPOSE", "RESHAPE"), (1, 36, 8, 8)
    ),
    "Reshape, channel shuffle": Case(
        shuffle, (CONV, "SLICE", "SLICE", "RESHAPE", "RESHAPE", "CONCATENATION", "RESHAPE")
    ),
    "Reshape, channel shuffle of a concatenation": Case(
        lambda b, x: shuffle(b, b.op("Concat", b.conv(x, 4), b.conv(x, 4), axis=1), conv=False),
        (CONV, CONV, "RESHAPE", "RESHAPE", "CONCATENATION", "RESHAPE"),
    ),
    "Reshape, shuffle of many groups": Case(
        lambda b, x: shuffle(b, b.conv(x, 16), conv=False, groups=8),
        (CONV, "RESHAPE", "TRANSPOSE", "RESHAPE"),
    ),
    "Resize, nearest by gathering": Case(
        on_input(
            "Resize",
            np.zeros(0, np.float32),
            np.asarray([1, 1, 1.5, 1.5], np.float32),
            mode="nearest",
            nearest_mode="ceil",
        ),
        ("GATHER", "GATHER"),
        not_delegated=("GATHER",),
    ),
    "Resize, linear": Case(
        on_input("Resize", *RESIZE, mode="linear", coordinate_transformation_mode="half_pixel"),
        ("RESIZE_BILINEAR",),
    ),
    "Resize, nearest": Case(
        on_input(
            "Resize",
            *RESIZE,
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        ("RESIZE_NEAREST_NEIGHBOR",),
        not_delegated=("RESIZE_NEAREST_NEIGHBOR",),
    ),
    "Sigmoid": Case(after_conv("Sigmoid"), (CONV, "LOGISTIC")),
    "SiLU": Case(silu, (CONV, "LOGISTIC", "MUL")),
    "Slice": Case(on_input("Slice", np.asarray([1, 3]), np.asarray([3, -2]), np.asarray([1, 3])), ("SLICE",)),
    "Slice, every second": Case(
        on_input("Slice", np.asarray([1, 0]), np.asarray([99, 99]), np.asarray([2, 3]), np.asarray([2, 3])),
        ("STRIDED_SLICE",),
        not_delegated=("STRIDED_SLICE",),
    ),
    "Slice, backwards": Case(
        on_input("Slice", np.asarray([-1]), np.asarray([-99]), np.asarray([3]), np.asarray([-1])),
        ("STRIDED_SLICE",),
        not_delegated=("STRIDED_SLICE",),
    ),
    "Softmax, over rows": Case(
        lambda b, x: b.op("Softmax", x, axis=2),
        ("TRANSPOSE", "SOFTMAX", "TRANSPOSE"),
        precisions=("fp32",),
    ),
    "SpaceToDepth": Case(
        on_input("SpaceToDepth", blocksize=2), ("SPACE_TO_DEPTH",), EVEN, not_delegated=("SPACE_TO_DEPTH",)
    ),
    "Tile": Case(on_input("Tile", np.asarray([1, 2, 1, 3])), ("TILE",), not_delegated=("TILE",)),
    "Transpose": Case(
        lambda b, x: b.conv(b.op("Transpose", x, perm=[0, 3, 1, 2]), 4), (CONV,), (1, 17, 17, 3)
    ),
    "Transpose, cancelled": Case(
        lambda b, x: b.conv(
            b.op(
                "Transpose",
                b.op("Add", b.op("Transpose", x, perm=[0, 2, 3, 1]), b.normal(3)),
                perm=[0, 3, 1, 2],
            ),
            4,
        ),
        ("ADD", CONV),
    ),
    "Softmax": Case(
        lambda b, x: b.op("Softmax", classifier(b, x), axis=-1),
        ("RESHAPE", FC, "SOFTMAX"),
        SMALL,
        not_delegated=("SOFTMAX",),
    ),
    "squeeze-excite": Case(squeeze_excite, (CONV, "MEAN", CONV, CONV, "LOGISTIC", "MUL")),
    "Sub": Case(two("Sub"), (CONV, CONV, "SUB")),
    "Tanh": Case(on_input("Tanh"), ("TANH",)),
}
