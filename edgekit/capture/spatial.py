"""torch's ways to change the size of an image: adaptive pooling and interpolation, as ONNX nodes.

Arguments follow ``torch.nn.functional``; tensors are NCHW.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import onnx_ir as ir

from edgekit.capture.builder import GraphBuilder
from edgekit.capture.lower import UntraceableError
from edgekit.graph.values import AttributeValue, shape_of

__all__ = ["adaptive_avg_pool2d", "interpolate"]

_MODES = {"nearest": "nearest", "bilinear": "linear"}


def adaptive_avg_pool2d(
    builder: GraphBuilder, x: ir.Value, output_size: int | Sequence[int | None]
) -> ir.Value:
    """``torch.nn.functional.adaptive_avg_pool2d``: one pool where all windows have one size and step."""
    size = list(shape_of(x)[-2:])
    given = [output_size] * 2 if isinstance(output_size, int) else list(output_size)
    wanted = [s if w is None else w for s, w in zip(size, given, strict=True)]
    if wanted == [1, 1]:
        return builder.op("GlobalAveragePool", [x])
    windows = [_adaptive_windows(s, w) for s, w in zip(size, wanted, strict=True)]
    steps = [_step(along) for along in windows]
    if None not in steps:
        kernel = [len(along[0]) for along in windows]
        return builder.op("AveragePool", [x], {"kernel_shape": kernel, "strides": [s or 1 for s in steps]})
    for axis, along in zip((-2, -1), windows, strict=True):
        x = _averaged(builder, x, axis % len(shape_of(x)), along)
    return x


def _adaptive_windows(size: int, count: int) -> list[range]:
    """Which of ``size`` elements each of ``count`` averages is of."""
    return [range(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def _step(windows: Sequence[range]) -> int | None:
    """From one window to the next, where all are alike."""
    steps = {after.start - before.start for before, after in pairwise(windows)} or {1}
    return steps.pop() if len(steps) == 1 and len({len(window) for window in windows}) == 1 else None


def _averaged(builder: GraphBuilder, x: ir.Value, axis: int, windows: Sequence[range]) -> ir.Value:
    """The mean of each window along one axis, side by side."""
    parts = []
    for window in windows:
        bounds = [builder.ints([number]) for number in (window.start, window.stop, axis)]
        part = builder.op("Slice", [x, *bounds])
        parts.append(builder.op("ReduceMean", [part, builder.ints([axis])], {"keepdims": 1}))
    return builder.op("Concat", parts, {"axis": axis})


def interpolate(
    builder: GraphBuilder,
    x: ir.Value,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> ir.Value:
    """``torch.nn.functional.interpolate`` of images, nearest or bilinear."""
    batch, channels, *given = shape_of(x)
    if mode not in _MODES or len(given) != 2 or antialias or recompute_scale_factor:
        raise UntraceableError(f"interpolation of {len(given)} dimensions by {mode!r}")
    attributes: dict[str, AttributeValue] = {"mode": _MODES[mode], **_sampling(mode, align_corners)}
    if size is not None:
        sizes = [size, size] if isinstance(size, int) else [int(number) for number in size]
        return builder.op("Resize", [x, None, None, builder.ints([batch, channels, *sizes])], attributes)
    if scale_factor is None:
        raise UntraceableError("interpolation to no size")
    factors = [scale_factor] * 2 if isinstance(scale_factor, (int, float)) else list(scale_factor)
    scales = builder.constant("scales", np.array([1, 1, *factors], np.float32))
    return builder.op("Resize", [x, None, scales], attributes)


def _sampling(mode: str, align_corners: bool | None) -> dict[str, AttributeValue]:
    if mode == "nearest":
        return {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    return {"coordinate_transformation_mode": "align_corners" if align_corners else "pytorch_half_pixel"}
